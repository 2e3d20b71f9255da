//! Generates the client in TypeScript: a package for any runtime with `fetch`.

mod types;

use super::{
    Api, SdkFile,
    input::SdkInput,
    list::SdkList,
    samples::{AnswerSample, PARAMETER},
    services::{SdkJobs, SdkServices},
    spec::{SpecValue, quoted},
    words::{camel, claim, is_identifier, snake},
};
use cursorgate_gateway::openapi::{Names, pascal};
use types::TypeWriter;

/// The part of the client that all lists use, with placeholders for the codes of problems.
const RUNTIME: &str = include_str!("typescript/runtime.ts");
/// The part of the client for services, which is written if there are any.
const SERVICES: &str = include_str!("typescript/services.ts");
/// The tests of the client, with a placeholder for the lists.
const TESTS: &str = include_str!("typescript/client.test.ts");
/// The package file of the client, with placeholders for the name and the title.
const PACKAGE: &str = include_str!("typescript/package.json");
/// The settings of the TypeScript compiler, which are the same for every client.
const COMPILER: &str = include_str!("typescript/tsconfig.json");

/// The names that the generated code defines or uses, so the types of items can't have them.
const TAKEN: [&str; 32] = [
    "ApiError",
    "Array",
    "AsyncIterable",
    "BeginOptions",
    "BulkOperation",
    "BulkOptions",
    "BulkResponse",
    "BulkResult",
    "Client",
    "ClientOptions",
    "ConnectionError",
    "Date",
    "Error",
    "ExportOrder",
    "FilterValue",
    "Filters",
    "InvalidPageError",
    "Job",
    "JobError",
    "JobStatus",
    "ListOptions",
    "ListSpec",
    "Listing",
    "Map",
    "Object",
    "Page",
    "ProblemCode",
    "Promise",
    "Record",
    "ServedListing",
    "Set",
    "Transport",
];

/// The names of the method, the types and the constant that are generated for a list.
struct ListNames {
    method: String,
    options: String,
    sort: String,
    spec: String,
    item: String,
}

/// Returns the files of a client.
pub(super) fn write(api: &Api, lists: &[SdkList]) -> Vec<SdkFile> {
    let mut names = Names::default();
    TAKEN.into_iter().for_each(|name| drop(names.claim(name)));
    let mut methods = Names::default();
    api.services.methods().for_each(|name| drop(methods.claim(name)));
    let mut types = TypeWriter::new(names);
    let named: Vec<ListNames> = lists.iter().map(|list| list_names(list, &mut methods, &mut types)).collect();
    let title = one_line(&api.title);
    let codes = api.codes.iter().map(|code| format!("  | {}", quoted(code))).collect::<Vec<_>>().join("\n");
    let runtime = RUNTIME.replace("{retryable}", &api.retryable.join(" ")).replace("{codes}", &codes);
    let package =
        PACKAGE.replace("\"{name}\"", &quoted(&api.name.replace('_', "-"))).replace("{title}", &json_inner(&title));
    let services = api
        .services
        .are_used(lists)
        .then(|| SdkFile::written("src/services.ts", format!("{}{SERVICES}", api.heading("//"))));
    let files = vec![
        SdkFile::written("src/index.ts", format!("{}{}", api.heading("//"), index(api, lists, &named, &types))),
        SdkFile::written("src/runtime.ts", format!("{}{runtime}", api.heading("//"))),
        SdkFile::written("test/client.test.ts", format!("{}{}", api.heading("//"), tests(lists, &named))),
        SdkFile::kept("README.md", readme(api, lists, &named)),
        SdkFile::kept("package.json", package),
        SdkFile::kept("tsconfig.json", COMPILER.to_owned()),
    ];
    files.into_iter().chain(services).collect()
}

fn readme(api: &Api, lists: &[SdkList], named: &[ListNames]) -> String {
    let mut calls = Vec::with_capacity(lists.len());
    for (list, names) in lists.iter().zip(named) {
        let path: Vec<String> = list.path_parameters.iter().map(|name| format!("{}: \"…\"", property(name))).collect();
        let path = (!path.is_empty()).then(|| format!("{{ {} }}", path.join(", ")));
        let limit = list.limit.is_some().then(|| "{ limit: 100 }".to_owned());
        let given: Vec<String> = path.into_iter().chain(limit).collect();
        calls.push((list, format!("client.{}({})", names.method, given.join(", "))));
    }
    let name = quoted(&api.name.replace('_', "-"));
    let walk =
        calls.first().map(|(_, call)| format!("\nfor await (const item of {call}) {{\n  console.log(item);\n}}\n"));
    let example = format!(
        "import {{ Client }} from {name};\n\n\
         const headers = {{ Authorization: `Bearer ${{process.env.TOKEN}}` }};\n\
         const client = new Client({{ baseUrl: {}, headers }});\n{}",
        api.example_url(),
        walk.unwrap_or_default()
    );
    api.readme("npm install && npm run build && npm test", ["ts", &example], &calls)
}

fn list_names(list: &SdkList, methods: &mut Names, types: &mut TypeWriter) -> ListNames {
    let method = claim(methods, &camel(&list.name));
    let stem = pascal(&method);
    let item = match &list.item {
        Some(item) => types.item(&stem, item),
        None => "unknown".to_owned(),
    };
    let mut name = |suffix: &str| types.names.claim(&format!("{stem}{suffix}"));
    ListNames {
        options: name("Options"),
        sort: name("Sort"),
        spec: format!("{}_SPEC", snake(&method).to_uppercase()),
        item,
        method,
    }
}

fn index(api: &Api, lists: &[SdkList], named: &[ListNames], types: &TypeWriter) -> String {
    let mut text = String::from(
        "import { type ClientOptions, type FilterValue, type Filters, type ListOptions, Listing, type ListSpec, Transport } \
         from \"./runtime.js\";\n\n\
         export { ApiError, ConnectionError, InvalidPageError, Listing } from \"./runtime.js\";\n\
         export type { ClientOptions, Filters, FilterValue, ListOptions, Page, ProblemCode } from \"./runtime.js\";\n",
    );
    if api.services.are_used(lists) {
        text.push_str(
            "import {\n  type BeginOptions, type BulkOperation, type BulkOptions, type BulkResponse, type Job, ServedListing, \
             begin, bulk, jobs,\n} from \"./services.js\";\n\
             export { Job, JobError, ServedListing } from \"./services.js\";\n\
             export type {\n  BeginOptions, BulkOperation, BulkOptions, BulkResponse, BulkResult, ExportOrder, JobStatus,\n} \
             from \"./services.js\";\n",
        );
    }
    text.push_str(&types.declarations());
    for (list, names) in lists.iter().zip(named) {
        text.push_str(&options(list, names));
    }
    for (list, names) in lists.iter().zip(named) {
        text.push_str(&format!("\nconst {}: ListSpec = {};\n", names.spec, list.spec().typescript()));
    }
    let server = api.server.as_ref().map_or_else(|| "null".to_owned(), |server| quoted(server));
    text.push_str(&format!(
        "\n/** A client of {}. */\nexport class Client {{\n  readonly #transport: Transport;\n\n  \
         constructor(options: ClientOptions = {{}}) {{\n    \
         this.#transport = new Transport(options, {server});\n  }}\n",
        comment(&one_line(&api.title))
    ));
    for (list, names) in lists.iter().zip(named) {
        text.push_str(&method(list, names, api.services.of_list(list)));
    }
    text.push_str(&services(&api.services));
    text.push_str("}\n");
    text
}

/// Returns the declaration of the type of a list's options.
fn options(list: &SdkList, names: &ListNames) -> String {
    let ListNames { options, sort, .. } = names;
    let mut text = String::new();
    let mut picked = vec!["\"cursor\"", "\"signal\""];
    if list.limit.is_some() {
        picked.insert(0, "\"limit\"");
    }
    if list.post {
        picked.push("\"body\"");
    }
    let mut members = Vec::new();
    // A union needs at least one member, so a sort without terms has no type and no option.
    if list.sort.is_some() && !list.sort_terms.is_empty() {
        let terms: Vec<String> = list.sort_terms.iter().map(|term| quoted(term)).collect();
        text.push_str(&format!(
            "\n/** A field to sort by; with a minus sign, descending. */\nexport type {sort} = {};\n",
            terms.join(" | ")
        ));
        members.push(format!("  /** The order, the first field first. */\n  readonly sort?: readonly {sort}[];"));
    }
    let own: Vec<String> = list
        .filters
        .iter()
        .map(|name| format!("readonly {}?: FilterValue | readonly FilterValue[]", property(name)))
        .collect();
    let own = if own.is_empty() { String::new() } else { format!(" & {{ {} }}", own.join("; ")) };
    members
        .push(format!("  /** Parameters that are sent to the list unchanged. */\n  readonly filters?: Filters{own};"));
    text.push_str(&format!(
        "\nexport interface {options} extends Pick<ListOptions, {}> {{\n{}\n}}\n",
        picked.join(" | "),
        members.join("\n")
    ));
    text
}

/// Returns the methods for bulk requests and jobs.
fn services(services: &SdkServices) -> String {
    let mut text = String::new();
    if let Some(path) = &services.bulk {
        text.push_str(&format!(
            "\n  /** Sends many operations in one request. */\n  \
             bulk(operations: readonly BulkOperation[], options: BulkOptions = {{}}): Promise<BulkResponse> {{\n    \
             return bulk(this.#transport, {}, operations, options);\n  }}\n",
            quoted(path)
        ));
    }
    if let Some(SdkJobs { path, queues }) = &services.jobs {
        let queues: Vec<String> = queues.iter().map(|queue| quoted(queue)).collect();
        let path = quoted(path);
        text.push_str(&format!(
            "\n  /** Begins a job of a queue. `body` is that of the request to the service. */\n  \
             job(queue: {}, body: unknown = {{}}, options: BeginOptions = {{}}): Promise<Job> {{\n    \
             return begin(this.#transport, {path}, {{ method: \"POST\", target: `${{{path}}}/${{queue}}`, body }}, options);\n  }}\n\
             \n  /** Requests the newest jobs of this client, of all queues. */\n  \
             jobs(): Promise<readonly Job[]> {{\n    return jobs(this.#transport, {path}, \"jobs\");\n  }}\n",
            queues.join(" | ")
        ));
    }
    text
}

fn method(list: &SdkList, names: &ListNames, services: Option<SpecValue>) -> String {
    let ListNames { method, options, spec, item, .. } = names;
    let (class, services) = match services {
        Some(services) => ("ServedListing", format!(", {}", services.typescript())),
        None => ("Listing", String::new()),
    };
    let parameters: Vec<String> =
        list.path_parameters.iter().map(|name| format!("readonly {}: string", property(name))).collect();
    let (argument, path) = match parameters.as_slice() {
        [] => (String::new(), "{}"),
        _ => (format!("path: {{ {} }}, ", parameters.join("; ")), "path"),
    };
    let most =
        if list.limit.is_some() { format!(" A page has at most {} items.", list.max_limit) } else { String::new() };
    format!(
        "\n  /** {}{most} */\n  {method}({argument}options: {options} = {{}}): {class}<{item}> {{\n    \
         return new {class}<{item}>(this.#transport, {spec}, {path}, options{services});\n  }}\n",
        comment(&list.summary)
    )
}

fn tests(lists: &[SdkList], named: &[ListNames]) -> String {
    let cases: Vec<String> = lists.iter().zip(named).map(|(list, names)| case(list, names)).collect();
    TESTS.replace("{cases}", &cases.join("\n"))
}

fn case(list: &SdkList, names: &ListNames) -> String {
    let path: Vec<String> =
        list.path_parameters.iter().map(|name| format!("{}: {}", property(name), quoted(PARAMETER))).collect();
    let path = if path.is_empty() { String::new() } else { format!("{{ {} }}, ", path.join(", ")) };
    let limit = list.limit.as_ref().map_or(SpecValue::Nothing, SdkInput::spec);
    let samples = &list.samples;
    let method = &names.method;
    format!(
        "  {{\n    name: {},\n    call: (client, options) => client.{method}({path}options),\n    cursor: {},\n    \
         limit: {},\n    path: {},\n    first: {},\n    last: {},\n    expired: {},\n    busy: {},\n  }},",
        quoted(&list.name),
        list.cursor.spec().typescript(),
        limit.typescript(),
        quoted(&samples.path),
        answer(&samples.first),
        answer(&samples.last),
        answer(&samples.expired),
        answer(&samples.busy)
    )
}

fn answer(sample: &AnswerSample) -> String {
    let (status, headers, body) = sample.parts();
    let headers: Vec<String> =
        headers.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
    format!("{{ status: {}, headers: {{ {} }}, body: {} }}", status.typescript(), headers.join(", "), body.typescript())
}

/// Returns the name of a property as it is written in code: as a string literal if the name isn't an identifier.
fn property(name: &str) -> String {
    if is_identifier(name) { name.to_owned() } else { quoted(name) }
}

/// Returns a text for a comment. `*/` is split by a space, so the text can't end the comment.
pub(super) fn comment(text: &str) -> String {
    text.replace("*/", "* /")
}

fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// Returns a text as the content of a JSON string, without the outer quotes.
fn json_inner(text: &str) -> String {
    let quoted = quoted(text);
    // Only the outer quotes are removed, because a text can end with an escaped quote.
    // Test: `a_title_may_end_in_a_quote`.
    quoted.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or_default().to_owned()
}
