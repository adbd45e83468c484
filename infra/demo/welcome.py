"""What the playground says first: addresses, the token, and calls that can be pasted into another terminal."""

import json
import shlex
from collections.abc import Mapping

from example_settings import BEARER, TASK, TASK_NAME
from ports import Ports

AUTHORIZED = """curl -H "Authorization: Bearer $CALLER_BEARER_TOKENS" -H 'Content-Type: application/json' \\
     """
# A new id each time it is pasted, since an event that was settled is a duplicate from then on.
NEW_ID = "$(date +%s)"
# A failed task of the simulator's world that only a person can help.
FULL_BUCKET = "full-full-21261028093012011_111"


def welcome(ports: Ports) -> str:
    """Everything that somebody needs to know to play."""
    function, oms = f"http://localhost:{ports.function}", f"http://localhost:{ports.oms}"
    return f"""\
page        http://localhost:{ports.page}   open it in a browser: let a task fail, and see it restarted
function    {function}
simulator   {oms}   {oms}/_sim/tasks has its tasks

Without a browser, in another terminal:

export CALLER_BEARER_TOKENS={BEARER}

The notice of a failed task, as FunctionGraph's SMN trigger posts it (204, started):

{notice(function, TASK_NAME)}

The notice of one whose bucket is full (204, refused, with advice in the receipt):

{notice(function, FULL_BUCKET)}

A direct call, which requests a start (200 and the receipt):

{direct_call(function)}

A task that was started runs, and is not started again. Put all tasks back as they were with

curl -X POST {oms}/_sim/reset

The operator's command looks at this playground with: make operator ARGS=failed
Each receipt follows in one line: time, sender, outcome, task, reason. Ctrl-C ends both processes.
"""


def direct_call(function: str) -> str:
    """A command that requests a start of the example task."""
    return AUTHORIZED + f"-d '{json.dumps({'task_id': TASK})}' {function}/"


def notice(function: str, task_name: str) -> str:
    """A command that delivers a notice of OMS as FunctionGraph hands it on."""
    message = {"message_id": "NEW_ID", "message": json.dumps({"task_name": task_name})}
    body = json.dumps({"record": [{"smn": message}]}).replace("NEW_ID", f"{task_name[:4]}-'\"{NEW_ID}\"'")
    return AUTHORIZED + f"-d '{body}' \\\n     {function}/invoke"


def operator_settings(settings: Mapping[str, str]) -> str:
    """A file for a shell to read: settings with which `python -m restarter` looks at the playground."""
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in settings.items())
