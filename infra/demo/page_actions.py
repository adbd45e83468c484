"""What a person does on the playground's page, and how a notice gets to the function. All by HTTP on loopback."""

import asyncio
import json
from collections.abc import Callable
from typing import Any, Literal

import httpx
from pydantic import BaseModel, ConfigDict, Field

from example_settings import BEARER, EXAMPLE, PROJECT
from page_state import State, Story, message_id_of
from signing_keys import Signer

CAUSES = {
    "network": ("TRF.0157", "The source object storage service is abnormal.", 0),
    "key expired": ("TRF.0151", "The AK/SK of the source are invalid.", 0),
    "bucket full": ("TRF.0055", "The destination bucket has no space left.", 12),
    "throttled": ("TRF.0159", "The source object storage service throttles requests.", 12),
    "paused by a person": ("TRF.0001", "System error.", 0),
}
Cause = Literal["network", "key expired", "bucket full", "throttled", "paused by a person"]
Trouble = Literal["none", "two at once", "OMS does not respond", "the instance dies"]
OMS_USER = {"X-Auth-Token": "example-token", "Content-Type": "application/json"}
KEYS = {name.removeprefix("OMS_").lower(): EXAMPLE[name] for name in EXAMPLE if name.startswith(("OMS_SRC", "OMS_DST"))}
TIMEOUT_S = 30
PAUSE_S = 0.5  # the tasks of the playground take half of it to pause
NO_RESPONSE, BAD_GATEWAY = 0, 502
CERTIFICATE = "https://smn.cn-north-4.myhuaweicloud.com/smn/SMN_cn-north-4_example.pem"


class Unable(Exception):
    """What a person asked for cannot be done; the message says why."""


class FailIt(BaseModel):
    """Let a task fail."""

    model_config = ConfigDict(extra="forbid")
    task: int = Field(ge=0, le=999_999_999_999_999)
    cause: Cause = "network"
    signed: bool = False
    trouble: Trouble = "none"


class StartIt(BaseModel):
    """Start a task by hand, as in OMS's console."""

    model_config = ConfigDict(extra="forbid")
    task: int = Field(ge=0, le=999_999_999_999_999)


class Again(BaseModel):
    """Send the notice of a story again."""

    model_config = ConfigDict(extra="forbid")
    story: int
    times: int = Field(1, ge=1, le=2)


class Actions:
    """Does it. `kill` ends the function's process at once, and another one is started in its place."""

    def __init__(self, state: State, oms: str, function: str, signer: Signer, kill: Callable[[], None]) -> None:
        self._state, self._signer, self._kill = state, signer, kill
        self._oms, self._function = oms, function
        self._client = httpx.AsyncClient(timeout=TIMEOUT_S, trust_env=False)
        self._asked: dict[str, FailIt] = {}
        self._lock = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        await self._client.aclose()

    async def look(self) -> None:
        """Ask the simulator for its tasks."""
        self._state.set_tasks((await self._client.get(f"{self._oms}/_sim/tasks")).json())

    async def fail(self, asked: FailIt) -> None:
        """Let OMS's task fail; its notice then arrives by `notice`.

        Raises:
            Unable: There is no such task, or it is not in progress.
        """
        await self.look()
        task = self._state.task(asked.task)
        code, text, objects = CAUSES[asked.cause]
        failure = {"task_id": asked.task, "error_code": code, "error_msg": text, "failed_num": objects}
        self._asked[str(task and task["name"])] = asked
        answer = await self._client.post(f"{self._oms}/_sim/fail", json=failure)
        if answer.is_error:
            raise Unable("The task does not run: only one that runs can fail.")

    async def start(self, asked: StartIt) -> None:
        """Start or resume the task, as a person does in OMS's console.

        Raises:
            Unable: OMS refuses.
        """
        if (await self._call(asked.task, "start", KEYS)).is_error:
            raise Unable("OMS does not start it: only a failed or a paused task can be started.")

    async def again(self, asked: Again) -> None:
        """Deliver the notice of a story once more, or twice at once.

        Raises:
            Unable: The story is not known, or had no notice.
        """
        story = self._state.find(asked.story)
        if story is None or story.notice is None:
            raise Unable("Its notice is not known any more.")
        await asyncio.gather(*(self._deliver(story) for _ in range(asked.times)))

    async def notice(self, notice: dict[str, Any]) -> int:
        """A notice from OMS's topic, which comes again if the status is 5xx: hand it to the function."""
        story = self._state.of_message(message_id_of(notice))
        if story is not None:  # FunctionGraph retries
            return await self._deliver(story)
        name = _task_name(notice)
        asked = self._asked.pop(name, None) or FailIt(task=0)
        story = self._state.story(f"{name}: {asked.cause}", notice=notice, signed=asked.signed, trouble=asked.trouble)
        if asked.cause == "paused by a person":
            await self._start_and_pause(story, asked.task)
        match asked.trouble:
            case "two at once":
                return max(await asyncio.gather(self._deliver(story), self._deliver(story)))
            case "OMS does not respond":
                return await self._unanswered(story, asked.task)
            case "the instance dies":
                return await self._with_death(story, asked.task)
            case _:
                return await self._deliver(story)

    async def _deliver(self, story: Story) -> int:
        """One call of the function with the story's notice. Returns the status, 502 where there is no response."""
        path, headers, body = self._as_signed(story) if story.signed else self._as_trigger(story)
        how = "SMN over HTTPS, signed" if story.signed else "FunctionGraph's SMN trigger"
        delivery = self._state.deliver(story, f"{how}: POST {path}")
        headers |= {"traceparent": f"00-{delivery.trace}-{delivery.trace[:16]}-01"}
        try:
            answer = await self._client.post(self._function + path, content=body, headers=headers)
            delivery.status = answer.status_code
        except httpx.HTTPError:
            delivery.status = NO_RESPONSE
        self._state.change(story)
        return delivery.status or BAD_GATEWAY

    def _as_trigger(self, story: Story) -> tuple[str, dict[str, str], bytes]:
        headers = {"Authorization": f"Bearer {BEARER}", "Content-Type": "application/json"}
        return "/invoke", headers, json.dumps(story.notice).encode()

    def _as_signed(self, story: Story) -> tuple[str, dict[str, str], bytes]:
        """The same message as SMN posts it to an HTTPS subscriber."""
        inside = (story.notice or {})["record"][0]["smn"]
        message = {name: inside[name] for name in ("subject", "topic_urn", "message_id", "message", "timestamp")}
        message |= {"type": "Notification"}
        extras = {"signature": self._signer.smn(message), "signature_version": "v1", "signing_cert_url": CERTIFICATE}
        headers = {"X-SMN-MESSAGE-TYPE": "Notification", "X-SMN-MESSAGE-ID": message["message_id"],
                   "X-SMN-TOPIC-URN": message["topic_urn"]}  # fmt: skip
        return "/", headers, json.dumps(message | extras).encode()

    async def _start_and_pause(self, story: Story, task: int) -> None:
        await self._call(task, "start", KEYS)
        await self._call(task, "stop", {})
        await asyncio.sleep(PAUSE_S)
        story.notes.append("Before the notice arrives, a person has started the task in the console and paused it.")
        self._state.change(story)

    async def _unanswered(self, story: Story, task: int) -> int:
        story.notes.append("OMS starts the task, and its response is lost.")
        async with self._lock:
            await self._rule(task, {"hang": "after"})
            return await self._deliver(story)

    async def _with_death(self, story: Story, task: int) -> int:
        story.notes.append("OMS starts the task; before it responds, the function's process is killed.")
        async with self._lock:
            await self._rule(task, {"hang": "after"})
            delivery = asyncio.create_task(self._deliver(story))
            before = (self._state.task(task) or {}).get("starts", 0)
            for _ in range(100):
                await asyncio.sleep(0.03)
                await self.look()
                if (self._state.task(task) or {}).get("starts", 0) > before:
                    break
            self._kill()
            return await delivery

    async def _rule(self, task: int, action: dict[str, Any]) -> None:
        rule = {"operation": "start", "task_id": task, "count": 1, "action": action}
        await self._client.put(f"{self._oms}/_sim/rules", json=[rule])

    async def _call(self, task: int, operation: str, body: dict[str, str]) -> httpx.Response:
        url = f"{self._oms}/v2/{PROJECT}/tasks/{task}/{operation}"
        return await self._client.post(url, json=body, headers=OMS_USER)


def _task_name(notice: dict[str, Any]) -> str:
    """The name in the notice; OMS puts it into the template as it is, so a quotation mark makes it no JSON."""
    try:
        return str(json.loads(notice["record"][0]["smn"]["message"])["task_name"])
    except ValueError:
        return "a notice that is no JSON"
