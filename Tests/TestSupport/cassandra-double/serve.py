# SPDX-License-Identifier: Apache-2.0
"""usage: serve.py RING

Answers the tools of one double ring, one after the other: a process for each call would take longer than the call. A request
is the tool and its arguments, each followed by NUL; the answer is a line with the status and the length of standard output,
that output, and standard error."""
import contextlib, io, os, socket, sys, traceback

sys.dont_write_bytecode = True

from ring import Refusal, Ring
import tools


def answer(ring, root, words):
    with open(f"{root}/calls", "a") as file:
        file.write(" ".join(words).replace("\n", " ") + "\n")
    output = io.StringIO()
    with contextlib.redirect_stdout(output):
        try:
            tools.run(ring, words[0], words[1:])
            return 0, output.getvalue(), ""
        except Refusal as refusal:
            return refusal.status, output.getvalue(), refusal.text + "\n"
        except Exception:
            return 70, output.getvalue(), "the double itself failed: " + traceback.format_exc()


def main(root):
    ring = Ring(root)
    server = socket.socket(socket.AF_UNIX)
    server.bind(f"{root}/new")
    server.listen(64)
    os.rename(f"{root}/new", f"{root}/socket")
    while True:
        client, _ = server.accept()
        with client, client.makefile("rb") as request:
            status, output, errors = answer(ring, root, request.read().decode().split("\0")[:-1])
            body = output.encode()
            with contextlib.suppress(BrokenPipeError):
                client.sendall(f"{status} {len(body)}\n".encode() + body + errors.encode())


main(sys.argv[1])
