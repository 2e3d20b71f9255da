#!/usr/bin/env bash
# Runs the configurations of docs/behind-your-gateway.md: nginx, HAProxy and Caddy, each in front of cursorgate and a
# small service. Lists by cursor, old lists, other paths, links and the client's address must be right.
#
#   tests/deploy/gateways.sh CURSORGATE FOLDER       FOLDER has the packages of the three programs, unpacked
set -euo pipefail
cd "$(dirname "$0")/../.."
cursorgate=$(realpath "$1") packages=$(realpath "$2") page=docs/behind-your-gateway.md
work=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; wait 2>/dev/null || true; rm -rf "$work"' EXIT
LD_LIBRARY_PATH=$(echo "$packages"/usr/lib/*-linux-gnu)
export LD_LIBRARY_PATH

# Prints the block of the page whose first line begins with the given text.
block() {
    awk -v begins="$1" '
        /^```/ { if (inside) { if (text ~ "^" begins) printf "%s", text; inside = 0 } else { inside = 1; text = "" } next }
        inside { text = text $0 "\n" }' "$page"
}

free() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
service=$(free) public=$(free) admin=$(free)

# The ports of the page are those of every reader's machine, so the test replaces them.
ports() { sed "s/127\.0\.0\.1:8000/127.0.0.1:$service/; s/127\.0\.0\.1:8080/127.0.0.1:$public/; s/\b9180\b/$admin/"; }

cat >"$work/service.py" <<'PYTHON'
import json, sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

ROWS = [{"id": n, "created_at": "2026-01-01T00:00:%02dZ" % (n // 4)} for n in range(1, 96)]

class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        url = urlsplit(self.path)
        query = {name: values[0] for name, values in parse_qs(url.query).items()}
        if url.path in ("/users", "/orders"):
            rows = sorted(ROWS, key=lambda row: row["id"])
            for key in reversed(query.get("sort", "-created_at,id" if url.path == "/users" else "-id").split(",")):
                rows.sort(key=lambda row: row[key.lstrip("-")], reverse=key.startswith("-"))
            page, limit = int(query.get("page", 1)), min(int(query.get("limit", 20)), 100)
            answer = {"data": rows[(page - 1) * limit : page * limit], "total": len(rows), "page": page, "limit": limit}
        else:
            answer = {"path": self.path}
        answer["client"], answer["scheme"] = self.headers["X-Forwarded-For"], self.headers["X-Forwarded-Proto"]
        body = json.dumps(answer).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(ThreadingHTTPServer):
    def handle_error(self, request, address):
        pass  # a connection that a gateway closes is no fault

Server(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
PYTHON
python3 "$work/service.py" "$service" &
block 'version = 1' | ports >"$work/cursorgate.toml"
CURSORGATE_KEY=$("$cursorgate" keygen) "$cursorgate" run --config "$work/cursorgate.toml" 2>"$work/log" &

# Waits until a URL can be read, for at most 20 seconds.
await() { timeout 20 sh -c "until curl -fsS -o /dev/null '$1' 2>/dev/null; do sleep 0.1; done" || { cat "$work/log"; exit 1; }; }
await "http://127.0.0.1:$service/"
await "http://127.0.0.1:$admin/readyz"

# Checks a gateway at a port.
check() {
    local at=http://127.0.0.1:$2
    await "$at/hello"
    NAME=$1 AT=$at python3 - <<'PYTHON'
import json, os, urllib.request

name, at = os.environ["NAME"], os.environ["AT"]

def get(path):
    request = urllib.request.Request(at + path, headers={"Host": "api.example.com"})
    with urllib.request.urlopen(request, timeout=30) as response:
        return response.headers, json.load(response)

for path in ("/users", "/orders"):
    ids, url, pages = [], path + "?cursor=start&limit=20", 0
    while url:
        headers, page = get(url)
        assert headers["Cursorgate-Level"] in ("exact", "checked"), (name, dict(headers))
        ids += [item["id"] for item in page["data"]]
        url, pages = page["links"]["next"], pages + 1
        assert url is None or url.startswith("https://api.example.com" + path + "?"), (name, url)
        url = url and url.removeprefix("https://api.example.com")
    assert sorted(ids) == list(range(1, 96)) and pages == 5, (name, path, len(ids), pages)

headers, old = get("/users?page=2&limit=5")
assert old["page"] == 2 and len(old["data"]) == 5 and headers["Sunset"], (name, dict(headers), old)
assert old["client"].split(", ")[0] == "127.0.0.1" and old["scheme"] == "http", (name, old["client"], old["scheme"])
headers, item = get("/users/17?a=b")
assert item["path"] == "/users/17?a=b" and headers["Cursorgate-Level"] is None, (name, item)
print(name + ": lists by cursor, old lists, links and other paths are right")
PYTHON
}

nginx=$(free)
mkdir "$work/nginx"
{
    echo "daemon off; pid $work/nginx/pid; error_log $work/nginx/error; events {}"
    echo "http { access_log off; client_body_temp_path $work/nginx/a; proxy_temp_path $work/nginx/b;"
    echo "fastcgi_temp_path $work/nginx/c; uwsgi_temp_path $work/nginx/d; scgi_temp_path $work/nginx/e;"
    block '# nginx.conf' | ports | sed "s/listen 80;/listen 127.0.0.1:$nginx;/"
    echo "}"
} >"$work/nginx.conf"
"$packages/usr/sbin/nginx" -e "$work/nginx/error" -c "$work/nginx.conf" &
check nginx "$nginx"

haproxy=$(free)
block '# haproxy.cfg' | ports | sed "s/bind :80/bind 127.0.0.1:$haproxy/" >"$work/haproxy.cfg"
"$packages/usr/sbin/haproxy" -db -q -f "$work/haproxy.cfg" &
check HAProxy "$haproxy"

caddy=$(free)
{
    echo "{ "; echo "admin off"; echo "auto_https off"; echo "}"
    block '# Caddyfile' | ports | sed "s#http://api.example.com#http://api.example.com:$caddy#"
} >"$work/Caddyfile"
HOME=$work "$packages/usr/bin/caddy" run --adapter caddyfile --config "$work/Caddyfile" 2>"$work/caddy" &
check Caddy "$caddy"
