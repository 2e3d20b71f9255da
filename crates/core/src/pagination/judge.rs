//! The judge of pages: the evidence in answers, and the pages that the evidence proves.
//!
//! The guarantee rests only on this module. *Evidence* is made here, from a request and its answer, and no other
//! module can set its fields. Pages are made here too. [`draft`] makes a page from the answers to one list; only it
//! gives the level `exact`. [`parts_page`] joins the pages of several filters, and keeps or lowers their levels.
//! [`token_seams`] makes a page from upstream pages, at best `checked`. [`pivot`] makes the place of an item that a
//! cursor names by its id. Strategies choose the requests and pass the evidence on; their estimates can't make a page
//! better than its evidence.
//!
//! The rule: for a page after an item *A*, an answer counts only if it begins at or before *A* and reaches beyond it.
//! The items after *A* are taken. If they are too few, the last item taken becomes the anchor, and the next answer must
//! follow the same rule. A page before *A* is the mirror image. Example: for the page after *C*, an answer with the
//! items *B* to *F* counts. An answer with *D* to *F* does not, because items between *C* and *D* may be missing from
//! it.

pub(super) mod confirmation;
pub(super) mod draft;
pub(super) mod end;
pub(super) mod evidence;
pub(super) mod joined;
pub(super) mod ledger;
pub mod page;
pub(super) mod parts_page;
pub(super) mod pivot;
mod stretch;
pub(super) mod token_end;
pub(super) mod token_seams;
pub(super) mod upstream_page;
