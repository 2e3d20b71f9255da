//! Generates the client in Python: a package that needs only the standard library.

mod types;

use super::{
    Api, SdkFile,
    input::SdkInput,
    list::SdkList,
    samples::{AnswerSample, PARAMETER},
    services::{SdkJobs, SdkServices},
    spec::{SpecValue, quoted},
    words::{claim, snake},
};
use cursorgate_gateway::openapi::{Names, pascal};
use types::TypeWriter;

/// The part of the client that all lists use, with a placeholder for the codes that permit a retry.
const RUNTIME: &str = include_str!("python/runtime.py");
/// The part of the client for services, which is written if there are any.
const SERVICES: &str = include_str!("python/services.py");
/// The tests of the client, with placeholders for the package and the lists.
const TESTS: &str = include_str!("python/test_client.py");
/// The project file of the client, with placeholders for the names and the title.
const PROJECT: &str = include_str!("python/pyproject.toml");

/// The names that the generated module imports or defines, so the types of items can't have them.
const TAKEN: [&str; 27] = [
    "Any",
    "ApiError",
    "BulkOperation",
    "BulkResponse",
    "Call",
    "Client",
    "ExportOrder",
    "FilterParameter",
    "FilterValue",
    "InvalidPageError",
    "Job",
    "JobError",
    "JobStatus",
    "ListOptions",
    "ListSpec",
    "Listing",
    "Literal",
    "Mapping",
    "NoAnswerError",
    "NotRequired",
    "Page",
    "ProblemCode",
    "Sequence",
    "ServedListing",
    "Transport",
    "TypeAlias",
    "TypedDict",
];

/// The names of the method, the types and the constant that are generated for a list.
struct ListNames {
    method: String,
    sort: String,
    filters: String,
    spec: String,
    item: String,
    /// The names of the method's arguments for the path's parameters, in their order.
    path: Vec<String>,
}

/// Returns the files of a client.
pub(super) fn write(api: &Api, lists: &[SdkList]) -> Vec<SdkFile> {
    let mut names = Names::default();
    TAKEN.into_iter().for_each(|name| drop(names.claim(name)));
    let mut methods = Names::default();
    api.services.methods().for_each(|name| drop(methods.claim(name)));
    let mut types = TypeWriter::new(names);
    let named: Vec<ListNames> = lists.iter().map(|list| list_names(list, &mut methods, &mut types)).collect();
    let package = api.name.replace('-', "_");
    let title = api.title.split_whitespace().collect::<Vec<_>>().join(" ");
    let project = PROJECT
        // TOML's basic strings have the same escapes as the literals of `quoted`, so `quoted` can write them.
        .replace("\"{name}\"", &quoted(&api.name.replace('_', "-")))
        .replace("\"A client of {title}\"", &quoted(&format!("A client of {title}")))
        .replace("{package}", &package);
    let tests = tests(lists, &named).replace("{package}", &package);
    let in_package = |name: &str| format!("{package}/{name}");
    let services = api
        .services
        .are_used(lists)
        .then(|| SdkFile::written(in_package("services.py"), format!("{}{SERVICES}", api.heading("#"))));
    let files = vec![
        SdkFile::written(
            in_package("__init__.py"),
            format!("{}{}", api.heading("#"), module(api, lists, &named, &types)),
        ),
        SdkFile::written(
            in_package("runtime.py"),
            format!("{}{}", api.heading("#"), RUNTIME.replace("{retryable}", &api.retryable.join(" "))),
        ),
        SdkFile::written(in_package("py.typed"), String::new()),
        SdkFile::written("tests/test_client.py", format!("{}{tests}", api.heading("#"))),
        SdkFile::kept("README.md", readme(api, &package, lists, &named)),
        SdkFile::kept("pyproject.toml", project),
    ];
    files.into_iter().chain(services).collect()
}

fn readme(api: &Api, package: &str, lists: &[SdkList], named: &[ListNames]) -> String {
    let mut calls = Vec::with_capacity(lists.len());
    for (list, names) in lists.iter().zip(named) {
        let path = names.path.iter().map(|_| "\"…\"".to_owned());
        let given: Vec<String> = path.chain(list.limit.is_some().then(|| "limit=100".to_owned())).collect();
        calls.push((list, format!("client.{}({})", names.method, given.join(", "))));
    }
    let walk = calls.first().map(|(_, call)| format!("\nfor item in {call}:\n    print(item)\n"));
    let example = format!(
        "import os\n\nfrom {package} import Client\n\n\
         headers = {{\"Authorization\": \"Bearer \" + os.environ[\"TOKEN\"]}}\n\
         client = Client({}, headers=headers)\n{}",
        api.example_url(),
        walk.unwrap_or_default()
    );
    api.readme("pip install . && python3 -m unittest tests.test_client", ["python", &example], &calls)
}

fn list_names(list: &SdkList, methods: &mut Names, types: &mut TypeWriter) -> ListNames {
    let method = claim(methods, &snake(&list.name));
    let stem = pascal(&method);
    let item = match &list.item {
        Some(item) => types.item(&stem, item),
        None => "Any".to_owned(),
    };
    let mut arguments = Names::default();
    // A parameter of the path can have the name of another argument, so the names of those arguments are claimed first.
    // Test: `names_are_unique_and_no_reserved_words`.
    ["self", "limit", "cursor", "sort", "filters", "body"].into_iter().for_each(|name| drop(arguments.claim(name)));
    let path = list.path_parameters.iter().map(|name| claim(&mut arguments, &snake(name))).collect();
    let mut name = |suffix: &str| types.names.claim(&format!("{stem}{suffix}"));
    let (sort, filters) = (name("Sort"), name("Filters"));
    ListNames { spec: format!("_{}", method.to_uppercase()), sort, filters, item, path, method }
}

fn module(api: &Api, lists: &[SdkList], named: &[ListNames], types: &TypeWriter) -> String {
    let mut text = String::from(
        "\nfrom __future__ import annotations\n\n\
         from collections.abc import Mapping, Sequence\n\
         from typing import Any, Literal, NotRequired, TypeAlias, TypedDict\n\n\
         from .runtime import (\n    ApiError,\n    FilterParameter,\n    FilterValue,\n    InvalidPageError,\n    \
         Listing,\n    ListOptions,\n    ListSpec,\n    NoAnswerError,\n    Page,\n    Transport,\n)\n",
    );
    let of_services = ["BulkOperation", "BulkResponse", "ExportOrder", "Job", "JobError", "JobStatus", "ServedListing"];
    let of_services = if api.services.are_used(lists) { of_services.as_slice() } else { &[] };
    if !of_services.is_empty() {
        text.push_str("from .runtime import Call\nfrom .services import begin, bulk, jobs\n");
        text.push_str(&format!("from .services import {}\n", of_services.join(", ")));
    }
    let own = [
        "ApiError",
        "Client",
        "FilterParameter",
        "FilterValue",
        "InvalidPageError",
        "Listing",
        "NoAnswerError",
        "Page",
        "ProblemCode",
    ];
    text.push_str("\n__all__ = [\n");
    text.extend(own.iter().chain(of_services).map(|name| format!("    {},\n", quoted(name))));
    text.push_str(
        "]\n\n# The codes of problems. A later version of the server may send other codes too.\n\
         ProblemCode: TypeAlias = Literal[\n",
    );
    text.extend(api.codes.iter().map(|code| format!("    {},\n", quoted(code))));
    text.push_str("]\n");
    text.push_str(&types.declarations());
    for (list, names) in lists.iter().zip(named) {
        if has_sort(list) {
            let terms: Vec<String> = list.sort_terms.iter().map(|term| quoted(term)).collect();
            text.push_str(&format!(
                "\n# A field to sort by; with a minus sign, descending.\n{}: TypeAlias = Literal[{}]\n",
                names.sort,
                terms.join(", ")
            ));
        }
        if !list.filters.is_empty() {
            // The functional form of `TypedDict` is used, because the name of a filter needn't be an identifier.
            let members: Vec<String> =
                list.filters.iter().map(|name| format!("    {}: FilterParameter,\n", quoted(name))).collect();
            text.push_str(&format!(
                "\n{0} = TypedDict(\"{0}\", {{\n{1}}}, total=False)\n",
                names.filters,
                members.concat()
            ));
        }
    }
    for (list, names) in lists.iter().zip(named) {
        text.push_str(&format!("\n{}: ListSpec = {}\n", names.spec, list.spec().python()));
    }
    text.push_str(&client(api));
    for (list, names) in lists.iter().zip(named) {
        text.push_str(&method(list, names, api.services.of_list(list)));
    }
    text.push_str(&services(&api.services));
    text
}

/// Returns the methods for bulk requests and jobs.
fn services(services: &SdkServices) -> String {
    let mut text = String::new();
    if let Some(path) = &services.bulk {
        text.push_str(&format!(
            "\n    def bulk(\n        self,\n        operations: Sequence[BulkOperation],\n        *,\n        \
             stop_on_error: bool = False,\n        idempotency_key: str | None = None,\n    ) -> BulkResponse:\n        \
             \"\"\"Sends many operations in one request.\n\n        \
             With a key, the request runs once however often it is sent. Without one, it isn't sent again if it is\n        \
             unknown whether it has run.\n        \"\"\"\n        \
             return bulk(self._transport, {}, operations, stop_on_error, idempotency_key)\n",
            quoted(path)
        ));
    }
    if let Some(SdkJobs { path, queues }) = &services.jobs {
        let queues: Vec<String> = queues.iter().map(|queue| quoted(queue)).collect();
        let path = quoted(path);
        text.push_str(&format!(
            "\n    def job(\n        self,\n        queue: Literal[{}],\n        body: Any,\n        *,\n        \
             idempotency_key: str | None = None,\n    ) -> Job:\n        \
             \"\"\"Begins a job of a queue. `body` is that of the request to the service.\"\"\"\n        \
             call = Call(\"POST\", {path} + \"/\" + queue, {{}}, body)\n        \
             return begin(self._transport, {path}, call, idempotency_key)\n\n    \
             def jobs(self) -> list[Job]:\n        \
             \"\"\"Requests the newest jobs of this client, of all queues.\"\"\"\n        \
             return jobs(self._transport, {path}, \"jobs\")\n",
            queues.join(", ")
        ));
    }
    text
}

/// Returns the beginning of the class `Client`, with its docstring and constructor.
fn client(api: &Api) -> String {
    let server = api.server.as_ref().map_or_else(String::new, |server| format!(" = {}", quoted(server)));
    format!(
        "\n\nclass Client:\n    \"\"\"A client of the API.\n\n    \
         `headers` are those of every request, such as `Authorization`. A request that failed in a way that may pass is\n    \
         repeated, `retries` times at most. `max_retry_after` is the longest wait before that, in seconds: where\n    \
         `Retry-After` asks for more, the error is raised at once. `timeout` is that of a request, in seconds.\n    \
         \"\"\"\n\n    \
         def __init__(\n        self,\n        base_url: str{server},\n        *,\n        \
         headers: Mapping[str, str] | None = None,\n        retries: int = 2,\n        \
         max_retry_after: float = 30.0,\n        timeout: float = 60.0,\n    ) -> None:\n        \
         self._transport = Transport(base_url, headers, retries, max_retry_after, timeout)\n"
    )
}

fn has_sort(list: &SdkList) -> bool {
    list.sort.is_some() && !list.sort_terms.is_empty()
}

fn method(list: &SdkList, names: &ListNames, services: Option<SpecValue>) -> String {
    let ListNames { method, sort, filters, spec, item, path } = names;
    let (class, services) = match services {
        Some(services) => ("ServedListing", format!(", {}", services.python())),
        None => ("Listing", String::new()),
    };
    let mut arguments: Vec<String> = vec!["self".to_owned()];
    arguments.extend(path.iter().map(|name| format!("{name}: str")));
    arguments.push("*".to_owned());
    let mut passed = vec!["cursor=cursor".to_owned(), "filters=filters".to_owned()];
    if list.limit.is_some() {
        arguments.push("limit: int | None = None".to_owned());
        passed.push("limit=limit".to_owned());
    }
    arguments.push("cursor: str | None = None".to_owned());
    if has_sort(list) {
        arguments.push(format!("sort: Sequence[{sort}] | None = None"));
        passed.push("sort=sort".to_owned());
    }
    let own = if list.filters.is_empty() { String::new() } else { format!("{filters} | ") };
    arguments.push(format!("filters: {own}Mapping[str, FilterParameter] | None = None"));
    if list.post {
        arguments.push("body: Mapping[str, Any] | None = None".to_owned());
        passed.push("body=body".to_owned());
    }
    let most =
        if list.limit.is_some() { format!(" A page has at most {} items.", list.max_limit) } else { String::new() };
    let given: Vec<String> =
        list.path_parameters.iter().zip(path).map(|(name, argument)| format!("{}: {argument}", quoted(name))).collect();
    format!(
        "\n    def {method}(\n        {},\n    ) -> {class}[{item}]:\n        {}\n        \
         return {class}(self._transport, {spec}, {{{}}}, ListOptions({}){services})\n",
        arguments.join(",\n        "),
        docstring(&format!("{}{most}", list.summary)),
        given.join(", "),
        passed.join(", ")
    )
}

/// Returns a one-line text as a docstring. Backslashes and quotes are replaced, so the text can't end the docstring.
fn docstring(text: &str) -> String {
    format!("\"\"\"{}\"\"\"", text.replace('\\', "\\\\").replace('"', "'"))
}

fn tests(lists: &[SdkList], named: &[ListNames]) -> String {
    let cases: Vec<String> = lists.iter().zip(named).map(|(list, names)| case(list, names)).collect();
    TESTS.replace("{cases}", &cases.join("\n"))
}

fn case(list: &SdkList, names: &ListNames) -> String {
    let path: Vec<String> = list.path_parameters.iter().map(|_| format!("{}, ", quoted(PARAMETER))).collect();
    let limit = list.limit.as_ref().map_or_else(|| "None".to_owned(), input);
    let samples = &list.samples;
    format!(
        "    Case(\n        name={},\n        call=lambda client, options: client.{}({}**options),\n        \
         cursor={},\n        limit={limit},\n        path={},\n        first={},\n        last={},\n        \
         expired={},\n        busy={},\n    ),",
        quoted(&list.name),
        names.method,
        path.concat(),
        input(&list.cursor),
        quoted(&samples.path),
        answer(&samples.first),
        answer(&samples.last),
        answer(&samples.expired),
        answer(&samples.busy)
    )
}

/// Returns the code of a tuple with the parameter's place and name, such as `("query", ["limit"])`.
fn input(input: &SdkInput) -> String {
    match input.spec() {
        SpecValue::Record(members) => {
            let values: Vec<String> = members.iter().map(|(_, value)| value.python()).collect();
            format!("({})", values.join(", "))
        }
        other => other.python(),
    }
}

fn answer(sample: &AnswerSample) -> String {
    let (status, headers, body) = sample.parts();
    let headers: Vec<String> =
        headers.iter().map(|(name, value)| format!("{}: {}", quoted(name), quoted(value))).collect();
    format!("Sample({}, {{{}}}, {})", status.python(), headers.join(", "), body.python())
}
