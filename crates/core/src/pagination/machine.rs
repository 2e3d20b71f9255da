//! Bridge to the strategies that are still machines.

pub(super) use super::request::*;
use super::{
    answer::Answer,
    fetch::Fetch,
    page::Page,
    refusal::Refusal,
    upstream::{Stop, Upstream},
};

#[derive(Debug)]
pub(super) enum Step {
    Fetch(Vec<Fetch>, Pending),
    Serve(Box<Page>),
    Refuse(Refusal),
}

#[derive(Debug)]
pub(super) struct Pending(pub(super) Box<dyn Machine>);

pub(super) trait Machine: std::fmt::Debug + Send {
    fn resume(self: Box<Self>, answers: Vec<Answer>) -> Step;
}

pub(super) async fn drive(up: &mut Upstream, mut step: Step) -> Result<Page, Stop> {
    loop {
        match step {
            Step::Fetch(fetches, pending) => {
                let slices: Option<Vec<_>> = fetches
                    .iter()
                    .map(|fetch| match fetch {
                        Fetch::Slice(slice, listing) => Some((*slice, listing.flipped)),
                        _ => None,
                    })
                    .collect();
                let answers = match slices {
                    Some(slices) => up.slices(&slices).await?,
                    None => up.fetch(fetches).await?,
                };
                step = pending.0.resume(answers);
            }
            Step::Serve(page) => return Ok(*page),
            Step::Refuse(refusal) => return Err(refusal.into()),
        }
    }
}
