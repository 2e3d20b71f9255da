//! Further examples for the reference file: tables whose keys only make sense together.

pub(super) const FIELDS: &str = "
# A rank: strings in an order of their own.
[routes.users.fields.priority]
type = \"rank\"
ranks = [\"low\", \"normal\", \"high\"]
";

pub(super) const ROUTES: &str = r##"
# A list with a dialect and an envelope of its own, for which requests by page are translated.
[routes.invoices]
path = "/api/tenants/{tenant}/invoices"
upstream = "people"
dialect = "invoices"
envelope = "house"
order = ["-amount", "id"]
fields = { amount = { type = "number", nulls = "last" } }
old_clients = "translate"
legacy = { client = { parameter = "app", shown = "value" } }

# A list that is observed before it is served: a whole list route but for `action`.
[routes.orders]
path = "/api/orders"
upstream = "people"
dialect = "offset-limit"
order = ["-created_at", "id"]
action = "observe"
observe = { every = 1 }

# A batch route: the cursor comes in the body, and goes on in the upstream's own. `total` stays what it was on the first
# page.
[routes.courses]
path = "/batch/courses"
methods = ["POST"]
upstream = "people"
upstream_path = "/internal/courses/batch"
dialect = "batch-post"
envelope = "batch"
order = ["id"]
page_size = { default = 1000, max = 5000 }
total = "first-page"

# Everything else passes through.
[routes.everything_else]
path = "/{*rest}"
upstream = "people"
action = "forward"
"##;

pub(super) const DIALECTS: &str = r#"
# An upstream that takes one expression for all filters.
[dialects.expressions]
extends = "offset-limit"
[dialects.expressions.filter]
query = "where={filter}"
lt = "{field} < {value}"
gt = "{field} > {value}"
eq = "{field} = {value}"
and = "({a} and {b})"
or = "({a} or {b})"
merge = "({client}) and {filter}"
quote = { string = "single", datetime = "single", uuid = "single" }

# An upstream that returns a token for the next page.
[dialects.by_token]
[dialects.by_token.request]
query = "limit={size}&cursor={token}"
[dialects.by_token.response]
items = "/data"
next_token = "/meta/next"
gone = [{ status = 404 }]

# An upstream that is asked for the items after an item.
[dialects.by_item]
request = { query = "limit={size}&starting_after={after}" }
response = { items = "/data", has_more = "/has_more", item_token = "/id" }

# An upstream that returns the URL of the next page. Of the URL, its parameters are used.
[dialects.by_link]
request = { query = "limit={size}" }
response = { items = "/data", next_url = "/_links/next", url_base = "/_links/base" }

# An upstream that returns parameters for the next page.
[dialects.by_parameters]
request = { query = "limit={size}" }
response = { items = "/data", next_params = "/continue" }
"#;

pub(super) const ENVELOPES: &str = r#"
# An envelope in a file of its own.
#[envelopes.partner]
#file = "partner.json"
"#;
