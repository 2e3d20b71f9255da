//! Lists that change between the answers that one page is read from.

use super::*;

/// A page of a list that is another one from the second answer on.
fn page_amid(mut list: List, then: &[u32], limit: u32) -> Result<Box<Page>, Refusal> {
    let mut asked = 0;
    let mut step = resolve(PageRequest { target: start(), limit, ..list.request.clone() });
    loop {
        step = match step {
            Step::Fetch(fetches, pending) => {
                let mut answers = Vec::new();
                for fetch in fetches {
                    let Fetch::Slice(slice, _) = fetch else { panic!("{fetch:?} of a list by offset") };
                    asked += 1;
                    if asked == 2 {
                        list.items = then.iter().map(|id| (Some(id.to_string()), String::new())).collect();
                    }
                    answers.push(list.answer(slice));
                }
                pending.resume(answers)
            }
            Step::Serve(page) => return Ok(page),
            Step::Refuse(refusal) => return Err(refusal),
        }
    }
}

#[test]
fn an_item_read_a_moment_ago_is_no_proof_unless_it_is_the_last() {
    for moved in [7, 8] {
        // What was read first goes, and one of the last that were read comes to stand where it was.
        let mut then: Vec<u32> = (7..60).filter(|id| *id != moved).collect();
        then.insert(usize::try_from(moved).unwrap(), moved);
        for limit in [12, 14] {
            let list = List::numbered(Family::Offset, 0..60).capped(Family::Offset, 10);
            let page = page_amid(list, &then, limit).unwrap_or_else(|refusal| panic!("{refusal:?}"));
            assert_eq!(texts(&page), numbers(0..limit), "{moved} was moved");
        }
    }
}
