"""Functions for all parts of the benchmark: child processes, ports, CPU time, memory, and facts about the machine."""

import atexit
import base64
import os
import pathlib
import platform
import re
import resource
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench"
TICKS = os.sysconf("SC_CLK_TCK")
# The binaries that the Makefile has built: the gateway as it is released, except in a quick run, and from the same source
# without a profile. The variables name other binaries to measure.
GATEWAY = os.environ.get("CURSORGATE_BIN", str(WORK / "bin/cursorgate"))
PLAIN_GATEWAY = os.environ.get("CURSORGATE_PLAIN_BIN", str(WORK / "bin/cursorgate-plain"))
BARE_PINGORA = os.environ.get("BARE_PINGORA_BIN", str(WORK / "bin/bare-pingora"))
# The Python environment that the Makefile installs for servers in Python.
PYTHON = os.environ.get("CURSORGATE_TEST_ENV", str(ROOT / "target/test-env")) + "/python/bin/python"


def allow_many_connections():
    """Raises the limit of open files to this user's maximum, also for child processes. Returns the limit."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    return most


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server of the benchmark. The constructor waits until its port answers. It ends with the benchmark."""

    def __init__(self, name, command, port=None, **options):
        self.name = name
        self.log = open(WORK / f"{name}.log", "wb")
        self.child = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, **options)
        self.port = port or self.announced()
        atexit.register(self.stop)
        for _ in range(2_000):
            if self.child.poll() is not None:
                raise SystemExit(f"{name} ended with {self.child.returncode}: see {self.log.name}")
            with socket.socket() as probe:
                if probe.connect_ex(("127.0.0.1", self.port)) == 0:
                    return
            time.sleep(0.01)
        raise SystemExit(f"{name} does not listen: see {self.log.name}")

    def announced(self):
        """Returns the port that the server prints as `port N`."""
        for _ in range(6_000):
            for line in pathlib.Path(self.log.name).read_text(errors="replace").splitlines():
                if line.startswith("port "):
                    return int(line.removeprefix("port "))
            if self.child.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"{self.name} says no port: see {self.log.name}")

    def tree(self):
        """Returns the ids of the server's process and its workers."""
        found, grown = {self.child.pid}, True
        while grown:
            grown = False
            for entry in pathlib.Path("/proc").iterdir():
                if entry.name.isdigit() and int(entry.name) not in found:
                    parent = status(int(entry.name)).get("PPid")
                    if parent and int(parent) in found:
                        found.add(int(entry.name))
                        grown = True
        return found

    def cpu_seconds(self):
        """Returns the user and system time that all its processes have used so far."""
        return sum(cpu_seconds(process) for process in self.tree())

    def resident(self):
        """Returns the resident memory of all its processes, in bytes."""
        return sum(int(status(process).get("VmRSS", "0 kB").split()[0]) * 1024 for process in self.tree())

    def settled(self, still=2.0, most=15.0):
        """Returns the resident memory once it has stayed within 1 % for `still` seconds, or after `most` seconds."""
        ends, since, level = time.monotonic() + most, time.monotonic(), self.resident()
        while time.monotonic() < ends and time.monotonic() - since < still:
            time.sleep(0.1)
            now = self.resident()
            if abs(now - level) > level / 100:
                since, level = time.monotonic(), now
        return self.resident()

    def stop(self):
        if self.child.poll() is None:
            self.child.stdin.close()
            self.child.terminate()
            try:
                self.child.wait(5)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
        self.log.close()


def gateway(name, text, port, binary=GATEWAY):
    """Starts the gateway with this configuration."""
    path = WORK / f"{name}.toml"
    path.write_text(text)
    environment = {
        **os.environ,
        "CURSORGATE_KEY": "a-key-of-the-benchmark-and-of-nothing-else",
        "CURSORGATE_WEBHOOK_SECRET": "whsec_" + base64.b64encode(os.urandom(32)).decode(),
    }
    return Process(name, [binary, "run", "--config", str(path)], port, env=environment)


def status(process):
    try:
        lines = pathlib.Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return {}
    return dict(line.split(":", 1) for line in lines if ":" in line)


def cpu_seconds(process):
    try:
        fields = pathlib.Path(f"/proc/{process}/stat").read_text().rsplit(")", 1)[1].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / TICKS


def get(url, headers=None):
    """Requests a URL. Returns the status, the headers and the body."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.headers, fault.read()


def machine():
    """Returns a description of the machine."""
    model = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line.split(":", 1)[1].strip() for line in open("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory": memory[0],
        "kernel": platform.release(),
    }


def said_by(*command):
    """Returns the output of a program, including standard error; an empty string if the program isn't installed."""
    if not shutil.which(command[0]):
        return ""
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout


def version(*command):
    """Returns the first version number in the output of a program."""
    found = re.search(r"\d+(?:\.\d+)+[^\s,)]*", said_by(*command))
    return found.group() if found else "not installed"


def commit():
    """Returns the commit of this repository, with `-dirty` if files have changed since."""
    said = said_by("git", "-C", str(ROOT), "describe", "--always", "--exclude=*", "--dirty")
    found = re.fullmatch(r"[0-9a-f]{7,}(-dirty)?", said.strip())
    return found.group() if found else "not known"


def debian(package):
    """Returns the version of an installed Debian package."""
    found = re.fullmatch(r"[\w.:+~-]+", said_by("dpkg-query", "-W", "-f", "${Version}", package))
    return found.group() if found else "not installed"
