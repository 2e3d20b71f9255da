//! The facts by which an answer says how long its list is and whether more items follow, each by itself.
//!
//! The gateway weighs these facts when it reads an answer: a flag takes precedence over a token beside it, and the
//! dialect's `end` says what ends the list. Verifiers must not share that rule with what they verify, so they get every
//! fact as the answer states it.

use http::{HeaderMap, header::LINK};

use super::{More, ResponseReader, of_item};
use crate::upstream::{
    place::{ResponsePlace, ResponseView},
    response::token::TokenStyle,
    template::ask::UpstreamRequest,
};
use cursorgate_core::{
    json::Span,
    pagination::{
        answer::{Answer, Total},
        fetch::{Fetch, Token},
    },
};

/// A fact by which an answer says whether more items follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndClaim {
    /// The key of the dialect that names the place of the fact, such as `response.has_more`; or the header.
    pub key: &'static str,
    /// True if the answer says that more items follow.
    pub says_more: bool,
}

/// The facts by which an answer says how long its list is, and whether more items follow.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndWitnesses {
    /// The size of the list; `None` if the answer doesn't state it.
    pub total: Option<Total>,
    /// The number of pages; `None` if the answer doesn't state it.
    pub pages: Option<u64>,
    /// The flags and links that the answer has.
    pub claims: Vec<EndClaim>,
    /// The token of the next page, whatever a flag beside it says, and even if it is the token that was sent.
    pub token: Option<Token>,
}

impl EndWitnesses {
    /// Returns whether a flag or a link denies that more items follow.
    #[must_use]
    pub fn deny(&self) -> bool {
        self.claims.iter().any(|claim| !claim.says_more)
    }

    /// Returns whether the answer says nothing at all about its end.
    #[must_use]
    pub fn are_silent(&self) -> bool {
        self.total.is_none() && self.pages.is_none() && self.claims.is_empty() && self.token.is_none()
    }
}

impl ResponseReader {
    /// Returns what an answer says about the end of its list.
    pub fn witnesses(&self, ask: &UpstreamRequest, headers: &HeaderMap, answer: &Answer) -> EndWitnesses {
        let body = answer.body();
        let facts: Vec<Span> = self.facts.iter().map(|fact| fact.find(body).unwrap_or(Span::ABSENT)).collect();
        let response = ResponseView { headers, body, facts: &facts };
        let (mut claims, mut pages) = (Vec::new(), None);
        for source in &self.more {
            let (key, says_more) = match source {
                More::Flag(place, true) => ("response.has_more", response.boolean(place)),
                More::Flag(place, false) => ("response.is_last", response.boolean(place).map(|is_last| !is_last)),
                More::Next(place) => ("response.next_url or next_page", Some(response.says_something(place))),
                More::Pages(place) => {
                    pages = response.number(place);
                    continue;
                }
            };
            claims.extend(says_more.map(|says_more| EndClaim { key, says_more }));
        }
        if headers.contains_key(LINK) {
            // Where a link to the next page is always there, the dialect names a parameter by which it leads on. Test:
            // `a_link_says_more_only_as_the_dialect_reads_it`.
            let says_more = match self.next_link() {
                Some(own) => response.says_something(own),
                None => cursorgate_link::find_target(headers, "next").is_some_and(|target| !target.is_empty()),
            };
            claims.push(EndClaim { key: "the header Link", says_more });
        }
        let token = match (&self.tokens, &ask.fetch) {
            (Some(tokens), Fetch::Token(_)) if tokens.style() == TokenStyle::Item => {
                answer.item_tokens.last().and_then(|span| of_item(span.of(body)))
            }
            (Some(tokens), Fetch::Token(_)) => tokens.shown(ask, response),
            _ => None,
        };
        EndWitnesses { total: self.total(response), pages, claims, token }
    }

    /// Returns the place of the link to the next page, if the dialect reads one from the header.
    fn next_link(&self) -> Option<&ResponsePlace> {
        let said = self.more.iter().filter_map(|more| match more {
            More::Next(place) => Some(place),
            More::Flag(..) | More::Pages(_) => None,
        });
        let followed = self.tokens.as_ref().and_then(|tokens| tokens.next_place());
        said.chain(followed).find(|place| matches!(place, ResponsePlace::Link(_)))
    }
}
