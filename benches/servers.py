"""The servers of the page and memory benchmarks: the upstream with its answers, and each way to pass the answers on."""

import grp
import json
import os
import pwd
import subprocess

from machine import BARE_PINGORA, GATEWAY, PLAIN_GATEWAY, ROOT, WORK, Process, free_port, gateway

# name -> number of items in the upstream's answer, approximate bytes of an item
SIZES = {"5k": (20, 250), "100k": (100, 1_000), "1m": (1_000, 1_000)}
# name -> the parameter for the number of items
ENVELOPES = {"standard": "limit", "page-info": "limit", "relay": "first"}
FIRST = 100_000
# The folder with the modules of Debian's nginx.
MODULES = "/usr/lib/nginx/modules"


def items(count, about):
    """Returns `count` items of about `about` bytes, with numbers, nesting, and strings that need escapes."""
    made = []
    for number in range(FIRST, FIRST + count):
        item = {
            "id": number,
            "created_at": "2026-01-01T00:%02d:%02d.%03dZ" % (number // 60_000 % 60, number // 1_000 % 60, number % 1_000),
            "name": "User \u00e9 \"%d\"" % number,
            "email": "user%d@example.com" % number,
            "active": number % 3 > 0,
            "balance": number * 1.25,
            "address": {"street": "Main Street %d" % (number % 99), "city": "Berlin", "geo": [52.5, 13.4]},
        }
        short = about - len(json.dumps(item)) - 12
        if short > 0:
            item["notes"] = ("The quick brown fox \\ jumps / over the lazy dog. " * (short // 40 + 1))[:short]
        made.append(item)
    return made


def written(value):
    """Returns JSON in the upstream's format."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def upstream_body(size):
    return written({"data": items(*SIZES[size]), "total": 1_000_000})


NGINX_UPSTREAM = """
    server {{
        listen 127.0.0.1:{port} reuseport;
        root {root};
        location / {{ try_files $uri.json =404; }}
    }}
    open_file_cache max=100;
    sendfile on;
    tcp_nopush on;
"""

# Settings of both nginx peers: persistent connections to the upstream, and buffers that hold a whole page.
NGINX_ASK = """
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_buffers 64 64k;
            proxy_buffer_size 64k;
            proxy_busy_buffers_size 256k;
"""

NGINX_PASS = """
    upstream legacy {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location / {{
            proxy_pass http://legacy;
            {ask}
        }}
    }}
"""

NGINX_LUA = """
    upstream legacy {{ server 127.0.0.1:{upstream}; keepalive 64; }}
    server {{
        listen 127.0.0.1:{port} reuseport;
        location /upstream/ {{
            internal;
            proxy_pass http://legacy/;
            proxy_pass_request_headers off;
            {ask}
        }}
        location / {{ content_by_lua_file {rewrite}; }}
    }}
"""

CURSORGATE = """
version = 1
listeners = {{ public = {{ address = "127.0.0.1:{port}"{tls} }} }}
server = {{ threads = 1, connections = 11000, connections_per_address = 11000 }}
log = {{ level = "error", access = "{access}" }}
cursor = {{ signing_key = 1, keys = {{ 1 = "env:CURSORGATE_KEY" }} }}

[upstreams.legacy]
peers = ["127.0.0.1:{upstream}"]
host_header = "legacy"
timeouts = {{ first_byte = "60s", whole = "60s" }}

[dialects.legacy]
request = {{ query = "offset={{offset}}&limit={{size}}" }}
response = {{ items = "/data", total = "/total" }}

[defaults]
upstream = "legacy"
old_clients = "none"
budgets = {{ time = "60s" }}

[routes.forward]
path = "/forward/{{*rest}}"
upstream_path = "/{{rest}}"
action = "forward"
"""

ROUTE = """
[routes.{size}-{envelope}]
path = "/{size}-{envelope}"
upstream_path = "/{size}"
dialect = "legacy-{size}"
order = ["id"]
fields = {{ id = {{ type = "number" }} }}
envelope = "{envelope}"
page_size = {{ default = {limit}, max = {limit} }}
"""

DIALECT = """
[dialects.legacy-{size}]
extends = "legacy"
size = {{ max = {count} }}
"""

# Turns on every service of the gateway. No request uses a service.
SERVICES = """
[services.bulk]

[services.exports]
directory = "{directory}/exports"

[services.webhooks]
directory = "{directory}/webhooks"

[services.webhooks.endpoints.audit]
url = "https://hooks.example.com/cursorgate"
secret = "env:CURSORGATE_WEBHOOK_SECRET"
events = ["export.failed"]

[services.graphql]
names = {{ {names} }}

[services.live]
routes = [{routes}]

[services.mcp]
"""


def limit_of(size):
    """Returns the limit of a page. The upstream's answer has one more item on each side, which prove the edges."""
    return SIZES[size][0] - 2


def own_user():
    """Returns nginx's directive for its workers' user: root if root starts nginx, as others can't read the files."""
    if os.geteuid() != 0:
        return ""
    return f"user {pwd.getpwuid(0).pw_name} {grp.getgrgid(os.getegid()).gr_name};"


def nginx(role, body, modules=(), **values):
    port = free_port()
    template = (ROOT / "benches/peers/nginx.conf").read_text()
    filled = {
        "role": role,
        "directory": str(WORK),
        "user": own_user(),
        "modules": "".join(f"load_module {MODULES}/{module}.so;\n" for module in modules),
        "body": body.format(port=port, ask=NGINX_ASK.strip(), **values),
    }
    for name, value in filled.items():
        template = template.replace("{" + name + "}", value)
    path = WORK / f"{role}.conf"
    path.write_text(template)
    return Process(f"nginx-{role}", ["nginx", "-c", str(path), "-p", str(WORK)], port)


def upstream():
    """Starts the legacy API, with answers of three sizes, each from a file."""
    root = WORK / "pages"
    root.mkdir(parents=True, exist_ok=True)
    for size in SIZES:
        (root / f"{size}.json").write_bytes(upstream_body(size))
    return nginx("upstream", NGINX_UPSTREAM, root=root)


def nginx_pass(upstream):
    return nginx("pass", NGINX_PASS, upstream=upstream.port)


def nginx_lua(upstream):
    modules = ("ndk_http_module", "ngx_http_lua_module")
    return nginx("lua", NGINX_LUA, modules, upstream=upstream.port, rewrite=ROOT / "benches/peers/rewrite.lua")


def bare_pingora(upstream):
    port = free_port()
    return Process("bare-pingora", [BARE_PINGORA, f"127.0.0.1:{port}", f"127.0.0.1:{upstream.port}"], port)


def express(upstream):
    command = ["node", str(ROOT / "benches/peers/express/server.js"), f"http://127.0.0.1:{upstream.port}"]
    environment = {**os.environ, "NODE_PATH": str(WORK / "express/node_modules"), "NODE_ENV": "production"}
    return Process("express", command, env=environment)


def certificate():
    """Makes a key and a certificate that only the benchmark trusts. Returns their files."""
    key, chain = WORK / "tls.key", WORK / "tls.crt"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "30"]
    command += ["-subj", "/CN=localhost", "-keyout", key, "-out", chain]
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return key, chain


def cursorgate(upstream, services=False, logged=False, tls=False, plain=False):
    """Starts the gateway, with all its services or none. By default it is the released one, writes no access log, like
    the nginx peers, and has no TLS."""
    port, extra = free_port(), ""
    if tls:
        key, chain = certificate()
        extra = f', tls = {{ certificate = "{chain}", key = "file:{key}" }}'
    text = CURSORGATE.format(port=port, tls=extra, upstream=upstream.port, access="all" if logged else "off")
    for size, (count, _) in SIZES.items():
        text += DIALECT.format(size=size, count=count)
        for envelope in ENVELOPES:
            text += ROUTE.format(size=size, envelope=envelope, limit=limit_of(size))
    if services:
        routes = ", ".join(f'"{size}-standard"' for size in SIZES)
        # A field of GraphQL can't begin with a digit.
        lists = [(f"{size}-{envelope}", f"{envelope.replace('-', '_')}_{size}") for size in SIZES for envelope in ENVELOPES]
        names = ", ".join(f'"{name}" = "{field}"' for name, field in lists)
        text += SERVICES.format(directory=WORK / "services", routes=routes, names=names)
    role = "cursorgate" + services * "-services" + logged * "-logged" + tls * "-tls" + plain * "-plain"
    return gateway(role, text, port, PLAIN_GATEWAY if plain else GATEWAY)
