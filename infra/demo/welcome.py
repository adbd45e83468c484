"""What the playground says first: addresses, the token, and calls that can be pasted into another terminal."""

import json

from example_settings import BEARER, EXAMPLE, PROJECT, TASK, TASK_NAME
from ports import Ports

AUTHORIZED = """curl -H "Authorization: Bearer $CALLER_BEARER_TOKENS" -H 'Content-Type: application/json' \\
     """
# A new id each time it is pasted, since an event that was settled is a duplicate from then on.
NEW_ID = "$(date +%s)"


def welcome(ports: Ports) -> str:
    """Everything that somebody needs to know to play."""
    function, oms = f"http://localhost:{ports.function}", f"http://localhost:{ports.oms}"
    return f"""\
page        http://localhost:{ports.page}   (open it in a browser: let a task fail, and see it restarted)
function    {function}
simulator   {oms}   ({oms}/_sim/tasks has its tasks, {oms}/_sim/calls the calls that it got)

In another terminal, for the caller's token:

export CALLER_BEARER_TOKENS={BEARER}

A direct call, which requests a start (200 and the receipt):

{direct_call(function)}

A CloudEvent, which says that a task failed (204):

{cloudevent(function)}

What FunctionGraph's SMN trigger posts (204):

{functiongraph_record(function)}

A task that was started runs, and is not started again. Put the simulator's tasks back as they were with

curl -X POST {oms}/_sim/reset

An event whose id was settled stays a duplicate until the playground is started again: give it another id.
Each receipt follows in one line: time, dialect, outcome, task, reason, duration. Ctrl-C ends both processes.
"""


def direct_call(function: str) -> str:
    """A command that requests a start of the example task."""
    return AUTHORIZED + f"-d '{json.dumps({'task_id': TASK})}' {function}/"


def cloudevent(function: str) -> str:
    """A command that delivers a CloudEvent in binary mode."""
    attributes = f"""-H 'ce-specversion: 1.0' -H 'ce-type: oms.task.failed' -H 'ce-source: /oms' -H "ce-id: {NEW_ID}" \\
     """
    return AUTHORIZED + attributes + f"-d '{json.dumps({'task_id': TASK})}' {function}/"


def functiongraph_record(function: str) -> str:
    """A command that delivers an SMN notification as FunctionGraph hands it on."""
    topic = f"urn:smn:cn-north-4:{PROJECT}:oms-failed"
    message = json.dumps({"task_name": TASK_NAME})
    notice = {"topic_urn": topic, "message_id": "NEW_ID", "message": message}
    body = json.dumps({"record": [{"smn": notice}]}).replace("NEW_ID", f"'\"{NEW_ID}\"'")
    return AUTHORIZED + f"-d '{body}' \\\n     {function}/invoke"


def operator_settings(ports: Ports) -> str:
    """A file for a shell to read: the settings with which `python -m restarter` looks at the playground."""
    settings = EXAMPLE | {"OMS_ENDPOINT": f"http://localhost:{ports.oms}"}
    return "".join(f"export {name}={value}\n" for name, value in settings.items())
