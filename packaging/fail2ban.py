#!/usr/bin/python3
"""Proves config/fail2ban against the log of the real daemon: which lines count, for which address, and that no name a client
sends can make another address count.

usage: fail2ban.py AFPD_RS FAIL2BAN_REGEX

Runs in a network namespace of its own (packaging/check.sh sees to it) with the addresses of PEERS. Each scene
is one connection by the program's own client or by raw bytes; the lines it adds to the log are what is judged. Every line is
judged as people read it and as JSON, from a file and as the journal hands it to fail2ban.
"""

import atexit
import collections
import os
import re
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

AFPD_RS, FAIL2BAN_REGEX = sys.argv[1:3]
FILTER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../config/fail2ban/filter.d/afpd-rs.conf")
PEERS = ["192.0.2.7", "2001:db8::7", "fe80::7%lo"]  # packaging/check.sh gives them to the loopback interface
VICTIM = "198.51.100.1"  # connects never; the forgeries name it

# What a line may be: counted by both modes of the filter, by mode=aggressive alone, or never.
COUNTED, AGGRESSIVE, NEVER = "counted", "aggressive", "never"

VERSION, UAM = b"AFP3.4", b"SRP"
INIT, OPEN_SESSION, GET_STATUS = b"\x00\x01", 4, 3


def frame(command, payload=b"", request=1):
    return struct.pack(">BBHIII", 0, command, request, 0, len(payload), 0) + payload


def pascal(text):
    return bytes([len(text)]) + text


def login_ext(name, version=VERSION, uam=UAM):
    call = b"\x3f\x00\x00\x00" + pascal(version) + pascal(uam) + b"\x03" + struct.pack(">H", len(name)) + name + b"\x03\x00\x00"
    return call + (b"\x00" if len(call) % 2 else b"") + INIT


def proof(a, m1):
    return b"\x13\x00\x00\x00\x00\x03" + struct.pack(">H", len(a)) + a + struct.pack(">H", len(m1)) + m1


def by_client(name, password):
    def run(daemon, peer):
        client = [AFPD_RS, "login", daemon.address(peer), name, "--password-stdin"]
        subprocess.run(client, input=password + b"\n", capture_output=True, timeout=30)

    return run


def by_bytes(*calls, ends=True, session=True):
    """Sends calls after an OpenSession (or frames as they are), waits for each reply, then hangs up or waits to be cut."""

    def run(daemon, peer):
        host, port = daemon.target(peer)
        with socket.create_connection((host, port), timeout=30) as connection:
            frames = [frame(2, call) for call in calls] if session else calls
            for sent in ([frame(OPEN_SESSION)] if session else []) + list(frames):
                connection.sendall(sent)
                if session or ends:
                    head = connection.recv(16, socket.MSG_WAITALL)
                    if len(head) == 16:
                        connection.recv(struct.unpack(">I", head[8:12])[0], socket.MSG_WAITALL)
            while not ends and connection.recv(4096):
                pass

    return run


def status(daemon, peer):
    subprocess.run([AFPD_RS, "status", daemon.address(peer)], check=True, capture_output=True, timeout=30)


# What somebody would call himself to have another address banned, a line forged, or a ban on himself avoided.
FORGED_NAMES = [
    f'x" peer={VICTIM}:1 name="',
    f"x peer={VICTIM}:1",
    f'x\n2026-01-01T00:00:00.000000Z  WARN login peer={VICTIM}:1 name="x" uam="SRP" outcome="refused" reason="wrong password" result=-6754 ms=2\n',
    f'x\r\n{{"timestamp":"2026-01-01T00:00:00.000000Z","level":"WARN","message":"login","peer":"{VICTIM}:1","name":"x","uam":"SRP","outcome":"refused","reason":"wrong password"}}\n',
    f'x","peer":"{VICTIM}:1","name":"',
    f'\\","peer":"{VICTIM}:1","outcome":"refused","reason":"',
    f'x" uam="SRP" outcome="refused" reason="wrong password" peer={VICTIM}:1 x="\\',
    f"x WARN login peer={VICTIM}:1 name=",
    f"x  INFO connection dropped: x peer={VICTIM}:1 x",
    'x" uam="SRP" outcome="signed-in" reason="proof verified" result=0',
    f"\x1b[2J\x00\x7f\u2028\u202e peer={VICTIM}:1 \u0085 {VICTIM}",
    "\\" * 100,
    '"' * 100,
    "2026-01-01T00:00:00.000000Z " * 9,
]

UNREADABLE = b"x\xff\xfe\" peer=" + VICTIM.encode() + b":1\n"

SCENES = [
    ("login", NEVER, by_client("alice", b"right")),
    ("status request", NEVER, status),
    ("wrong password", COUNTED, by_client("alice", b"wrong")),
    ("unknown name", COUNTED, by_client("nobody", b"wrong")),
    ("disabled account", COUNTED, by_client("bob", b"right")),
    ("proof all zero", COUNTED, by_bytes(login_ext(b"alice"), proof(b"\x02" * 192, bytes(20)))),
    ("public key zero", COUNTED, by_bytes(login_ext(b"alice"), proof(bytes(192), bytes(20)))),
    ("public key too long", COUNTED, by_bytes(login_ext(b"alice"), proof(b"\x02" * 193, bytes(20)))),
    ("proof cut short", COUNTED, by_bytes(login_ext(b"alice"), proof(b"\x02" * 192, bytes(20))[:-1])),
    ("proof without challenge", COUNTED, by_bytes(proof(b"\x02" * 192, bytes(20)))),
    ("login call cut short", COUNTED, by_bytes(login_ext(b"alice")[:-6])),
    ("login call without UAM", COUNTED, by_bytes(b"\x3f\x00\x00\x00" + pascal(VERSION))),
    ("name that is no UTF-8", COUNTED, by_bytes(login_ext(UNREADABLE))),
    ("other version", AGGRESSIVE, by_bytes(login_ext(b"alice", version=b"AFP9.9"))),
    ("other UAM", AGGRESSIVE, by_bytes(login_ext(b"alice", uam=b"DHX2"))),
    ("forged UAM", AGGRESSIVE, by_bytes(login_ext(b"alice", uam=FORGED_NAMES[0].encode()))),
    ("challenge left unanswered", AGGRESSIVE, by_bytes(login_ext(b"alice"))),
    ("not AFP", AGGRESSIVE, by_bytes(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", ends=False, session=False)),
    ("no session first", AGGRESSIVE, by_bytes(frame(2, login_ext(b"alice")), ends=False, session=False)),
    *[(f"forged name {n}", COUNTED, by_bytes(login_ext(name.encode()[:255]))) for n, name in enumerate(FORGED_NAMES)],
    # By now or after some of these the address is refused at this account, whatever the password.
    *[("too many failures", COUNTED, by_client("alice", password)) for password in [b"wrong"] * 5 + [b"right"]],
]

# Once the store is spoilt nobody can sign in, and that is no client's fault.
SPOILT = [
    ("store anybody can write to", NEVER, by_client("alice", b"right")),
    ("store anybody can write to, unknown name", NEVER, by_client("nobody", b"wrong")),
    *[(f"forged name {n} in a line that does not count", NEVER, by_bytes(login_ext(name.encode()[:255]))) for n, name in enumerate(FORGED_NAMES)],
]
DAMAGED = [("damaged record", NEVER, by_client("alice", b"right"))]

Line = collections.namedtuple("Line", "scene verdict peer text")


class Daemon:
    def __init__(self, directory, log_format):
        self.state = os.path.join(directory, "state")
        self.log = os.path.join(directory, f"{log_format}.log")
        config = os.path.join(directory, f"{log_format}.toml")
        with open(config, "w") as file:
            # Every line of the scenes is wanted: the usual 30 per minute and address are enough for fail2ban, not for the proof.
            file.write(f'[log]\nformat = "{log_format}"\nlines_per_minute = 1000\n')
        self.seen = 0
        listen = [word for address in ("0.0.0.0:0", "[::]:0") for word in ("--listen", address)]
        self.process = subprocess.Popen(
            [AFPD_RS, "--config", config, "--state", self.state, "serve", *listen],
            stdout=subprocess.PIPE, stderr=open(self.log, "wb"), text=True,
        )
        # Also when the proof fails half-way.
        atexit.register(self.process.kill)
        self.ports = [int(self.process.stdout.readline().rsplit(":", 1)[1]) for _ in (4, 6)]

    def target(self, peer):
        return peer, self.ports[":" in peer]

    def address(self, peer):
        host, port = self.target(peer)
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"

    def new_lines(self):
        with open(self.log, "rb") as file:
            file.seek(self.seen)
            whole = file.read().rpartition(b"\n")[0]
        self.seen += len(whole) + bool(whole)
        return whole.decode().split("\n") if whole else []

    def play(self, scene, verdict, run, peer):
        """The lines of a scene. The daemon writes a line when it answers or when the connection ends: awaited, for all but a status request."""
        run(self, peer)
        lines, until = self.new_lines(), time.monotonic() + 10
        while scene != "status request" and not any(map(is_verdict, lines)):
            if time.monotonic() > until:
                sys.exit(f"fail2ban: {scene} from {peer} has left no line in the log")
            time.sleep(0.01)
            lines += self.new_lines()
        return [Line(scene, verdict if is_verdict(line) else NEVER, peer, line) for line in lines]

    def end(self):
        self.process.send_signal(signal.SIGTERM)
        if self.process.wait(timeout=20) != 0:
            sys.exit(f"fail2ban: the daemon ended with {self.process.returncode}")


def is_verdict(line):
    """Whether this is the line a scene is about; the others (`logged out …`, `going down …`) count never."""
    return re.search(r"(?: |\":?\")(login|connection dropped)\b", line) is not None


def record(directory, log_format):
    daemon, lines = Daemon(directory, log_format), []
    # Failures at the daemon before this one count on.
    subprocess.run([AFPD_RS, "--state", daemon.state, "user", "unlock", "alice"], check=True, capture_output=True)
    for peer in PEERS:
        for scene, verdict, run in SCENES:
            lines += daemon.play(scene, verdict, run, peer)
    accounts = os.path.join(daemon.state, "accounts")
    os.chmod(accounts, 0o777)
    for scene, verdict, run in SPOILT:
        lines += daemon.play(scene, verdict, run, PEERS[0])
    os.chmod(accounts, 0o700)
    damaged = os.path.join(accounts, next(name for name in os.listdir(accounts) if name.startswith("alice")))
    with open(damaged, "r+b") as file:
        kept = file.read()
        file.seek(0)
        file.write(b"\xff")
    for scene, verdict, run in DAMAGED:
        lines += daemon.play(scene, verdict, run, PEERS[0])
    with open(damaged, "wb") as file:
        file.write(kept)
    daemon.end()
    lines += [Line("end", NEVER, "", line) for line in daemon.new_lines()]
    return lines


# How a line reaches fail2ban: as it is in a file, or as the journal hands it over, the time apart. fail2ban-regex reads files only
# here, so the time goes before it and is cut out again; packaging/test-deb.sh reads a real journal. Addresses of link-local
# peers name the interface there, as they do on every interface but loopback.
SHAPES = {
    "file": ([], lambda text: text),
    "journal": (["--datepattern=^EPOCH"], lambda text: "1800000000 nas afpd-rs[4711]: " + text.replace("[fe80::7]", "[fe80::7%2]")),
}


def judge(lines, shape, mode):
    """Compares what fail2ban-regex finds with what it should, line by line; prints its own count."""
    options, shaped = SHAPES[shape]
    wanted = [
        f"{line.peer.partition('%')[0]} {shaped(line.text)}"
        for line in lines
        if line.verdict == COUNTED or (line.verdict == AGGRESSIVE and mode == "aggressive")
    ]
    with tempfile.NamedTemporaryFile("w", suffix=".log") as log:
        log.write("".join(shaped(line.text) + "\n" for line in lines))
        log.flush()
        command = [FAIL2BAN_REGEX, "--usedns=no", *options]
        rest = [log.name, f"{FILTER}[mode={mode}]"]
        found = subprocess.run([*command, "--out=<ip> <msg>", *rest], check=True, capture_output=True, text=True).stdout
        summary = subprocess.run([*command, "--print-no-missed", *rest], check=True, capture_output=True, text=True).stdout
    found = [row for row in found.split("\n") if row]
    for verdict, rows in ("missed", set(wanted) - set(found)), ("wrongly counted", set(found) - set(wanted)):
        for row in sorted(rows)[:5]:
            print(f"fail2ban: {verdict}: {row}", file=sys.stderr)
    # A line that is counted twice would ban after half the attempts.
    if found != wanted:
        sys.exit(f"fail2ban: {shape}, mode={mode}: {len(found)} lines counted, {len(wanted)} should be")
    return re.search(r"^Lines: .*", summary, re.M).group()


def main():
    with tempfile.TemporaryDirectory() as directory:
        user = [AFPD_RS, "--state", os.path.join(directory, "state"), "user"]
        for name in ("alice", "bob"):
            subprocess.run([*user, "add", name, "--password-stdin"], input=b"right\n", check=True, capture_output=True)
        subprocess.run([*user, "disable", "bob"], check=True, capture_output=True)
        logs = {log_format: record(directory, log_format) for log_format in ("human", "json")}
    for log_format, lines in logs.items():
        verdicts = collections.Counter(line.verdict for line in lines)
        print(f"log.format {log_format}: " + ", ".join(f"{count} lines {verdict}" for verdict, count in sorted(verdicts.items())))
        for shape in SHAPES:
            for mode in ("normal", "aggressive"):
                print(f"  {shape:7}  mode={mode:10}  {judge(lines, shape, mode)}")


main()
