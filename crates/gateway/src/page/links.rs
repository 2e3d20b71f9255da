//! The links of a page, and the redirect of a legacy request.

use super::{
    context::PageContext,
    cursors::{RequestCursors, at, id_text},
};
use cursorgate_config::settings::{Mode, Role};
use cursorgate_core::pagination::{
    position::{Position, Target},
    window::Offset,
};
use cursorgate_cursor::cursor::TooLong;
use cursorgate_translate::downstream::{LinkBase, LinkTo, Response, response::legacy};

impl PageContext<'_> {
    pub fn first_link(&self) -> String {
        self.link(None)
    }

    /// Returns the link of this request to another place; without `to`, to the first page.
    fn link(&self, to: Option<LinkTo<'_>>) -> String {
        let place = match to {
            Some(LinkTo::Cursor { token, .. }) => token.len(),
            Some(LinkTo::Id { id, .. }) => id.len(),
            Some(LinkTo::Last) | None => 0,
        };
        // The capacity includes 64 bytes for parameter names, `&` and `=`, the limit and the sort. A long sort makes
        // the buffer grow.
        let link = self.base.begin(self.request.filters.links.len() + place + 64);
        self.parameters().link(link, &self.request, to)
    }

    /// Returns the link to a position whose cursor is `token`; `None` if the client's convention can't express the
    /// position in a link.
    pub fn link_to(&self, target: &Target, token: &str) -> Option<String> {
        let backward = target.position.is_backward();
        let id;
        let to = match &target.position {
            _ if self.parameters().takes_cursors_in_body() => return None,
            _ if self.parameters().takes_cursors() => LinkTo::Cursor { token, backward },
            Position::After(anchor) | Position::Before(anchor) => {
                id = id_text(&anchor.id)?;
                LinkTo::Id { id: &id, backward }
            }
            Position::End if self.parameters().name(Role::LimitBackward).is_some() => LinkTo::Last,
            _ => return None,
        };
        Some(self.link(Some(to)))
    }

    /// Returns the redirect of a legacy request to its page by cursor; `None` if the route doesn't redirect, or if
    /// there is no link to the page.
    ///
    /// # Errors
    ///
    /// Returns an error if the cursor is longer than the route allows.
    pub fn redirect(&self, cursors: &RequestCursors<'_>) -> Result<Option<Response>, TooLong> {
        let Some(page) = self.legacy_page.as_ref().filter(|_| self.redirects) else { return Ok(None) };
        // The cursors of a list that is read by tokens can't name an offset. Without a redirect, the request is refused
        // later, like any other request for an offset of a list by tokens.
        if page.offset > 0 && self.sorted.mode == Mode::Token {
            return Ok(None);
        }
        // A redirected client would repeat its POST body, including the legacy page in the body, and would be
        // redirected again. Test: `old_clients_by_post_get_the_policy_of_the_route`.
        if self.request.pages_in_body() {
            return Ok(None);
        }
        let offset = Offset(page.offset);
        let location = self.link_to(&at(offset), &cursors.seal_offset(offset)?);
        let mut response = location.and_then(|location| legacy::redirect(&location));
        if let Some(response) = &mut response {
            self.list.mark_legacy(&mut response.headers, &self.first_link());
        }
        Ok(response)
    }

    /// Returns the links of a page to the description of the API and to the services of its list, as far as the public
    /// contract describes the list. An old client gets none, and a client by POST gets no links at all.
    pub fn service_links(&self) -> Vec<(&'static str, String)> {
        let services = &self.snapshot.services;
        let contract = services.contract.as_ref().filter(|contract| contract.describes(&self.route.name));
        let Some(contract) = contract.filter(|_| self.legacy_page.is_none() && self.asked.body.is_none()) else {
            return Vec::new();
        };
        let path = self.asked.target.path.trim_end_matches('/');
        let address =
            self.asked.client.public_address(&self.asked.target, &self.asked.headers, self.route, self.snapshot);
        let link = |path: &str, query: &str| LinkBase::new(&address, path).url(query);
        let mut links = vec![("service-desc", link(&contract.document, ""))];
        if services.live.as_ref().is_some_and(|live| live.routes.contains(&self.route.name)) {
            // A resource that reports changes of this one (RFC 5989).
            links.push(("monitor", link(&format!("{path}/live"), &self.request.self_query)));
        }
        if services.exports.is_some() {
            links.push(("related", link(&format!("{path}/exports"), "")));
        }
        links
    }

    /// Returns the link to this page itself.
    pub fn self_link(&self) -> String {
        self.base.url(&self.request.self_query)
    }
}
