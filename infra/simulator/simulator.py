"""A stand-in for Huawei Cloud OMS that keeps its documented rules and breaks them on request. Never shipped.

    python infra/simulator/simulator.py --port 0 [--world FILE]

It shares no code with what it tests, so that a signature both agree on is right. It answers the calls about tasks and
task groups (oms_simulator/routes.py names them), those of an object store in OBS's dialect (object_calls.py), and these
controls:

    GET, PUT, POST /_sim/tasks      all tasks; replace them; add some
    GET, PUT, POST /_sim/groups     the same for task groups
    POST /_sim/generate             add many tasks by one template
    GET /_sim/starts                how many starts of each task were accepted
    GET /_sim/runs                  each run of a task: when, how it ended, what it moved, and what of that once more
    POST /_sim/fail                 let a task in progress fail: task_id, error_code, error_msg, failed_num
    GET, PUT /_sim/smn              topics with publishers and subscribers, and templates; replace them
    GET /_sim/notices               what OMS published or could not publish, and the calls that followed
    PUT /_sim/rules                 which calls go wrong, and how
    GET, PUT /_sim/objects          what the object store holds; its buckets and its clock, with nothing in it
    PUT /_sim/listing               order of ListTasks, changes between its pages, rows that are no tasks
    PUT /_sim/throttle              starts per second, and how many tasks run at a time
    PUT /_sim/auth                  who may call, and which keys open buckets; a run whose keys do not fails
    POST /_sim/clock                move the world's time forward
    GET, DELETE /_sim/calls         what was asked and answered; forget it
    POST /_sim/reset                back to the world that it began with

A task's `runs` say what each of its runs moves in how many seconds, and why it fails then (tasks.py has the fields).
This one breaks every three hours and moves a quarter each time, so it succeeds in its fourth run:

    {"id": 1, "status": 4, "total_size": 10995116277760, "runs": [{"seconds": 10800, "moves": 0.25}]}
"""

import argparse
import asyncio
import json
import os
import secrets
import signal
import sys
import time
from collections.abc import Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from oms_simulator.calls import Call
from oms_simulator.connection import Message, Patience, Receive, Send, drop, read, say
from oms_simulator.control_calls import PREFIX, control
from oms_simulator.controls import Clock, Controls
from oms_simulator.courier import Courier
from oms_simulator.fast_clock import clock
from oms_simulator.fault_actions import Hang, Late, Reset, Say
from oms_simulator.messages import Answer, Request, gateway_error
from oms_simulator.object_calls import is_object_call, object_route, serve_object
from oms_simulator.operations import OPERATIONS
from oms_simulator.routes import CHANGES, STARTS, Route, route
from oms_simulator.server import Server, listen, serving

MAX_BODY = 12 * 1024 * 1024
DEMO_WORLD = Path(__file__).with_name("world.json")


@dataclass(frozen=True, slots=True)
class Exchange:
    """One call under way through the simulator."""

    request: Request
    where: Route
    call: Call
    receive: Receive
    send: Send


class Simulator(Controls):
    """An ASGI application. Without a world it is the one of the demo."""

    def __init__(self, world: Mapping[str, Any] | None = None, clock: Clock = time.time) -> None:
        super().__init__(json.loads(DEMO_WORLD.read_text("utf-8")) if world is None else world, clock)
        self.patience = Patience()
        self._works: set[asyncio.Task[None] | None] = set()
        self._courier = Courier(lambda: self._world.smn, lambda: self._world.advance(self._now()), self.patience)

    def serving(self, http: str = "auto") -> AbstractContextManager[str]:
        """The simulator behind a real socket: `with simulator.serving() as url`."""
        return serving(self, self.patience, http)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            message = "the simulator speaks HTTP only"
            raise RuntimeError(message)
        request = await read(scope, receive)
        if request is None:
            return
        if request.path.startswith(PREFIX):
            answer = control(self, request)
            self._courier.wake()
            await say(send, answer, secrets.token_hex(16))
            return
        self._courier.wake()
        of_store = is_object_call(request)
        where = object_route(request) if of_store else route(request.method, request.path, request.query)
        call = self._log.open(request, where, self._clock())
        await self._serve(Exchange(request, where, call, receive, send))

    async def _serve(self, exchange: Exchange) -> None:
        """Rules come first: they stand for the network and whatever else is in front of OMS."""
        seconds, action = self._rules.apply(exchange.where)
        if seconds:
            exchange.call.fault = "delay"
            # A client that gives up meanwhile changes nothing: its call is still carried out.
            await self.patience.pause(seconds)
        request_id = secrets.token_hex(16)
        if action is None:
            await self._answer(exchange, self._handle(exchange, request_id), request_id)
            return
        exchange.call.fault = action.name
        if action.commit:
            self._handle(exchange, request_id)
        match action:
            case Say(answer):
                await self._answer(exchange, answer, request_id)
            case Reset():
                await drop(exchange.receive, exchange.send, hard=action.hard)
            case Late(seconds):
                self._later(exchange, seconds)
                await drop(exchange.receive, exchange.send, hard=False)
            case Hang():
                await self.patience.until_gone(exchange.receive)
                await drop(exchange.receive, exchange.send, hard=False)

    async def _answer(self, exchange: Exchange, answer: Answer, request_id: str) -> None:
        exchange.call.status, exchange.call.error_code = answer.status, answer.code
        await say(exchange.send, answer, request_id)

    def _later(self, exchange: Exchange, seconds: float) -> None:
        """Do the work after so many seconds, whoever is gone by then."""

        async def work() -> None:
            await self.patience.pause(seconds)
            self._handle(exchange, secrets.token_hex(16))
            self._works.discard(asyncio.current_task())

        self._works.add(asyncio.ensure_future(work()))

    def _handle(self, exchange: Exchange, request_id: str) -> Answer:
        """The gateway's checks in its order, then OMS itself."""
        request, where, now = exchange.request, exchange.where, self._clock()
        if is_object_call(request):
            return serve_object(self._objects, request, self._gateway.auth, self._now(), now)
        if where.operation == "unknown":
            message = "The API does not exist or has not been published in the environment"
            return gateway_error("APIGW.0101", message, request_id)
        if len(request.body) > MAX_BODY:
            return gateway_error("APIGW.0201", "Request entity too large", request_id)
        denial = self._gateway.refuse(request, where.project_id, now)
        if denial is not None:
            return gateway_error(denial.code, denial.message, request_id)
        if where.operation in STARTS and not self._bucket.reserve(now):
            return gateway_error("APIGW.0308", self._bucket.message(), request_id)
        answer = OPERATIONS[where.operation](self._world, where, request, self._now())
        exchange.call.accepted = where.operation in CHANGES and answer.code is None
        return answer


def announce(url: str) -> None:
    """One line for whoever started this and needs the port."""
    sys.stdout.write(f"listening on {url}\n")
    sys.stdout.flush()


def main() -> None:
    """Serves until told to stop."""
    parser = argparse.ArgumentParser(description="A simulator of Huawei Cloud OMS, on the loopback interface.")
    parser.add_argument("--port", type=int, default=0, help="0 takes a free one")
    parser.add_argument("--world", type=Path, help="a JSON file; see world.json beside this script")
    arguments = parser.parse_args()
    try:
        world = None if arguments.world is None else json.loads(arguments.world.read_text("utf-8"))
        simulator = Simulator(world, clock(os.environ))
        listening, url = listen(arguments.port)
    except (OSError, ValueError) as error:
        parser.error(str(error))
    # uvicorn raises the signal again once it has stopped; that must not look like a crash.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    Server(simulator, simulator.patience, announce=lambda: announce(url)).run([listening])


if __name__ == "__main__":
    main()
