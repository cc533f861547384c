"""The ceiling: a Starlette route on uvicorn that takes the whole request and answers with fixed bytes: status, headers
and body.

`python -m tests.bench.bare PORT FOLDER [logs]` serves the `Fixed` in every file of the folder at `/<name>`; several of
them share the port. With `logs` the server writes its line for each request, which it does unless it is told not to.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import msgspec
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


class Fixed(msgspec.Struct):
    """An answer as it goes over the wire, without what the server adds to any: length and connection."""

    status: int
    headers: dict[str, str]
    body: bytes


def app(folder: Path) -> Starlette:
    answers = {path.name: msgspec.msgpack.decode(path.read_bytes(), type=Fixed) for path in folder.iterdir()}

    async def answer(request: Request) -> Response:
        if request.method != "GET":
            await request.body()
        fixed = answers[request.path_params["name"]]
        return Response(fixed.body, fixed.status, fixed.headers)

    return Starlette(routes=[Route("/{name}", answer, methods=["GET", "POST", "PUT"])])


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    shared = socket.socket()
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind(("127.0.0.1", port))
    logs = "logs" in sys.argv[3:]
    level = "info" if logs else "warning"
    config = uvicorn.Config(
        app(folder), log_level=level, access_log=logs, lifespan="off", server_header=False, date_header=False
    )
    uvicorn.Server(config).run(sockets=[shared])


if __name__ == "__main__":
    main()
