//! The surroundings of a list: the items' own resources, the headers that decide which items a client sees, links to
//! other hosts, and whether two answers to the same request are equal.

use serde_json::Value;

use crate::{
    findings::{Certainty, Learnt},
    prober::Base,
    prober::answer::{SeenAnswer, step_into},
    prober::session::{ProbeHalt, Session},
};

/// Headers that aren't credentials.
const HARMLESS: [&str; 6] = ["accept", "accept-language", "user-agent", "accept-encoding", "content-type", "host"];

/// Returns whether a header, by its name, has no credential.
#[must_use]
pub fn is_harmless(name: &str) -> bool {
    HARMLESS.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Usual headers with credentials or tenants, which decide which items a client sees.
pub(super) const CREDENTIALS: [&str; 5] = ["authorization", "cookie", "x-api-key", "x-tenant", "x-tenant-id"];

/// The largest number of strings in an answer that are searched for links.
const LINKS: usize = 500;

/// Finds the principal, the resource of an item, links to other hosts, and whether answers are stable.
pub(super) async fn find(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    note_hosts(session, learnt, base);
    note_vary(learnt, base);
    for header in session.target.headers.clone() {
        if HARMLESS.contains(&header.as_str()) {
            continue;
        }
        let seen = session.ask_without(&header, &[]).await?;
        let found = learnt.shape.identities(&seen);
        let name = header.as_str().to_owned();
        if !seen.is_recorded() {
            // The header is added to the principal without proof. A superfluous header does no harm, but if one were
            // missing, clients would share pages. Test: `a_recorded_credential_makes_the_principal`.
            let evidence = "recorded requests have it, and none without it is recorded";
            learnt.note(Certainty::Likely, "principal", name.clone(), evidence);
            learnt.principal.push(name);
            continue;
        }
        // A refusal without the header, or an answer with other items, shows that the header matters. Test:
        // `a_header_that_determines_the_visible_list_becomes_the_principal`.
        if !seen.is_success() || found.as_ref() != Some(&base.ids) {
            let without = if seen.is_success() { "other items".to_owned() } else { seen.status.to_string() };
            learnt.note(Certainty::Shown, "principal", name.clone(), format!("without it the answer is {without}"));
            learnt.principal.push(name);
        } else {
            // Clients with other credentials may still see other items, so the finding is only likely.
            let evidence = "without it the answer has the same items";
            learnt.note(Certainty::Likely, "principal", format!("not {name}"), evidence);
        }
    }
    item(session, learnt, base).await?;
    stability(session, learnt, base).await
}

/// Finds the resource of a single item, at the path of the list with the id appended.
async fn item(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    let Some(id) = learnt.shape.id.clone().filter(|id| !id.is_empty()) else { return Ok(()) };
    let row = learnt.shape.elements(&base.seen).and_then(|rows| rows.first());
    let Some(value) = row.and_then(|row| step_into(row, &id)) else { return Ok(()) };
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let encoded = percent_encoding::utf8_percent_encode(&text, percent_encoding::NON_ALPHANUMERIC).to_string();
    // Unreserved characters need no encoding (RFC 3986, section 2.3), so these three are decoded again.
    let encoded = encoded.replace("%2D", "-").replace("%5F", "_").replace("%2E", ".");
    let path = session.target.path.clone();
    let slash = if path.ends_with('/') { "/" } else { "" };
    let seen = session.ask_path(&format!("{}/{encoded}{slash}", path.trim_end_matches('/'))).await?;
    let inner = id.strip_prefix(learnt.shape.item.as_str()).unwrap_or(&id).to_owned();
    // Some servers answer every path with 200, so the answer must contain the id of the item.
    let holds = |at: &str| {
        let own = seen.json.as_ref().and_then(|json| step_into(json, at)).and_then(|item| step_into(item, &inner));
        own == Some(value)
    };
    // Some upstreams wrap the item, as in `{ "data": … }`, so its place is searched for.
    let mut places = vec![String::new()];
    if let Some(Value::Object(members)) = &seen.json {
        places.extend(
            members.iter().filter(|(_, member)| member.is_object()).map(|(name, _)| crate::prober::answer::step(name)),
        );
    }
    let place = places.into_iter().find(|place| seen.is_success() && holds(place));
    match place {
        Some(place) => {
            let template = format!("{{path}}/{{id}}{slash}");
            let evidence = format!("{} at the first item's address, with its id", seen.status);
            learnt.note(Certainty::Shown, "item", template.clone(), evidence);
            learnt.item_path = Some((template, place));
        }
        None => {
            let said = if seen.is_recorded() { seen.status.to_string() } else { "no answer".to_owned() };
            let evidence = format!("{said} at {}/… with the id of the first item", path.trim_end_matches('/'));
            learnt.note(Certainty::Open, "item", "no resource found", evidence);
        }
    }
    Ok(())
}

/// Repeats the first request, and adds a finding on whether the items are in the same order.
async fn stability(session: &Session, learnt: &mut Learnt, base: &Base) -> Result<(), ProbeHalt> {
    if session.left() == 0 {
        return Ok(());
    }
    let again = session.ask_again(&[]).await?;
    // A recording gives no second answer to the same request, so no finding is added. Test:
    // `a_recording_of_all_requests_teaches_as_much_as_the_live_list`.
    if !again.is_recorded() {
        return Ok(());
    }
    let Some(ids) = learnt.shape.identities(&again) else { return Ok(()) };
    if ids == base.ids {
        learnt.note(
            Certainty::Likely,
            "stability",
            "the same items in the same order",
            "the first request, asked again",
        );
        return Ok(());
    }
    let (mut before, mut after) = (base.ids.clone(), ids);
    before.sort();
    after.sort();
    let found = if before == after { "the same items in another order" } else { "other items" };
    learnt.note(Certainty::Shown, "stability", found, "the first request, asked again");
    Ok(())
}

fn note_vary(learnt: &mut Learnt, base: &Base) {
    let Some(vary) = base.seen.header("vary") else { return };
    let harmless = |name: &&str| !HARMLESS.iter().any(|known| known.eq_ignore_ascii_case(name)) && *name != "*";
    let names: Vec<&str> = vary.split(',').map(str::trim).filter(harmless).collect();
    for name in names.into_iter().filter(|name| CREDENTIALS.contains(&name.to_ascii_lowercase().as_str())) {
        learnt.note(Certainty::Likely, "principal", name, "Vary of the first answer names it");
        learnt.principal.push(name.to_owned());
    }
}

/// Adds findings on other hosts in links of the first answer, at most three.
fn note_hosts(session: &Session, learnt: &mut Learnt, base: &Base) {
    let own = session.target.host.as_str();
    let mut found: Vec<(String, String)> = Vec::new();
    for (place, text) in texts(learnt, &base.seen) {
        let host = text.split_once("://").filter(|(scheme, _)| matches!(*scheme, "http" | "https"));
        let host = host.map(|(_, rest)| rest.split(['/', '?', '#']).next().unwrap_or_default().to_owned());
        if let Some(host) =
            host.filter(|host| !host.eq_ignore_ascii_case(own) && !found.iter().any(|(_, known)| known == host))
        {
            found.push((place, host));
        }
    }
    for (place, host) in found.into_iter().take(3) {
        let evidence = format!("at {place}; the list was asked for at {own}");
        learnt.note(Certainty::Shown, "links to another host", host, evidence);
    }
}

fn texts(learnt: &Learnt, seen: &SeenAnswer) -> Vec<(String, String)> {
    let facts =
        learnt.shape.facts(seen).into_iter().filter_map(|fact| Some((fact.place, fact.value.as_str()?.to_owned())));
    let rows = learnt.shape.elements(seen).unwrap_or_default();
    let fields = learnt.shape.fields(rows);
    let first = rows.first().into_iter().flat_map(|row| {
        fields
            .iter()
            .filter_map(move |field| Some((format!("items{field}"), step_into(row, field)?.as_str()?.to_owned())))
    });
    facts.chain(first).take(LINKS).collect()
}
