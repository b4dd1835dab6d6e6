#!/usr/bin/env python3
"""Starts the real daemon as systemd would, with a notification socket, and checks what it says there: ready once it listens,
around a reload that works and one that does not, and at its end.

usage: notify.py AFPD_RS
"""

import os
import signal
import socket
import subprocess
import sys
import tempfile

AFPD_RS = sys.argv[1]


def main():
    with tempfile.TemporaryDirectory() as directory:
        path, config = os.path.join(directory, "notify"), os.path.join(directory, "afpd-rs.toml")
        open(config, "w").close()
        systemd = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        systemd.bind(path)
        systemd.settimeout(20)

        def heard(wanted):
            # MONOTONIC_USEC=… comes with RELOADING=1, for Type=notify-reload.
            words = [word for word in systemd.recv(4096).decode().split("\n") if word and not word.startswith("MONOTONIC_USEC=")]
            if words != [wanted]:
                sys.exit(f"notify: {words} where {wanted} belongs")
            print(f"  {wanted}")

        daemon = subprocess.Popen(
            [AFPD_RS, "--config", config, "--state", os.path.join(directory, "state"), "serve", "--listen", "127.0.0.1:0"],
            env={**os.environ, "NOTIFY_SOCKET": path}, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )
        try:
            heard("READY=1")
            port = int(daemon.stdout.readline().rsplit(":", 1)[1])
            socket.create_connection(("127.0.0.1", port), timeout=20).close()
            for settings in ("", "[nonsense]\n"):
                with open(config, "w") as file:
                    file.write(settings)
                daemon.send_signal(signal.SIGHUP)
                heard("RELOADING=1")
                heard("READY=1")
            daemon.send_signal(signal.SIGTERM)
            heard("STOPPING=1")
            if daemon.wait(timeout=20) != 0:
                sys.exit(f"notify: the daemon ended with {daemon.returncode}")
        finally:
            daemon.kill()


main()
