"""The ceiling: a Starlette route on uvicorn that takes the whole request and answers with fixed bytes.

`python -m tests.bench.bare PORT FOLDER [logs]` serves every file of the folder at `/<name>`; several of them share the
port. With `logs` the server writes its line for each request, which it does unless it is told not to.
"""

from __future__ import annotations

import socket
import sys
from pathlib import Path

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


def app(folder: Path) -> Starlette:
    answers = {path.name: path.read_bytes() for path in folder.iterdir()}

    async def answer(request: Request) -> Response:
        if request.method != "GET":
            await request.body()
        return Response(answers[request.path_params["name"]], media_type="application/fhir+json")

    return Starlette(routes=[Route("/{name}", answer, methods=["GET", "POST", "PUT"])])


def main() -> None:
    port, folder = int(sys.argv[1]), Path(sys.argv[2])
    shared = socket.socket()
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    shared.bind(("127.0.0.1", port))
    logs = "logs" in sys.argv[3:]
    level = "info" if logs else "warning"
    config = uvicorn.Config(app(folder), log_level=level, access_log=logs, lifespan="off")
    uvicorn.Server(config).run(sockets=[shared])


if __name__ == "__main__":
    main()
