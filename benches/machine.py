"""What every part of the benchmark needs: processes that end with it, ports, CPU time, memory, and what machine this is."""

import atexit
import os
import pathlib
import platform
import shutil
import socket
import subprocess
import time
import urllib.error
import urllib.request

ROOT = pathlib.Path(__file__).resolve().parent.parent
WORK = ROOT / "target" / "bench"
TICKS = os.sysconf("SC_CLK_TCK")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Process:
    """A server of the benchmark: it is up when its port answers, and ends with the benchmark."""

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
        """The port that it prints as `port N`."""
        for _ in range(6_000):
            for line in pathlib.Path(self.log.name).read_text(errors="replace").splitlines():
                if line.startswith("port "):
                    return int(line.removeprefix("port "))
            if self.child.poll() is not None:
                break
            time.sleep(0.01)
        raise SystemExit(f"{self.name} says no port: see {self.log.name}")

    def tree(self):
        """Its process and the workers of it."""
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
        """User and system time of all of it so far."""
        return sum(cpu_seconds(process) for process in self.tree())

    def resident(self):
        """Resident memory of all of it, in bytes."""
        return sum(int(status(process).get("VmRSS", "0 kB").split()[0]) * 1024 for process in self.tree())

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
    """Status, headers, body."""
    request = urllib.request.Request(url, headers=headers or {})
    try:
        with urllib.request.urlopen(request, timeout=120) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as fault:
        return fault.code, fault.headers, fault.read()


def machine():
    """What it ran on."""
    model = [line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    memory = [line.split(":", 1)[1].strip() for line in open("/proc/meminfo") if line.startswith("MemTotal")]
    return {
        "processor": model[0] if model else platform.processor(),
        "cores": os.cpu_count(),
        "memory": memory[0],
        "kernel": platform.release(),
    }


def version(*command):
    """The first line that a program says of its version."""
    if not shutil.which(command[0]):
        return "not installed"
    said = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True).stdout
    return next((line.strip() for line in said.splitlines() if any(letter.isdigit() for letter in line)), said.strip())
