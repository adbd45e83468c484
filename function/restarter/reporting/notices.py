"""Why OMS sent no notice of a failure: one table (notices.tsv), read by one function.

The codes are those of `smn_info`: https://support.huaweicloud.com/intl/en-us/api-oms/ErrorCode.html
"""

from collections.abc import Iterable
from pathlib import Path

from restarter.model.task import Task
from restarter.model.text import Text, read_table

NO_TOPIC = Text("no topic: found by a sweep only", "未设置主题：只能由兜底扫描发现")
NOT_SENT = Text("not sent", "未发送")
BY_CODE = {
    row["code"]: Text(f"{row['sentence_en']}; {row['step_en']}", f"{row['sentence_zh']}；{row['step_zh']}")
    for row in read_table(Path(__file__).with_suffix(".tsv"))
}


def why_no_notice(tasks: Iterable[Task]) -> Text | None:
    """Why OMS sent no notice, and what to do: by the first task that shows it; None if none does."""
    return next(filter(None, map(_why, tasks)), None)


def _why(task: Task) -> Text | None:
    if task.without_topic:
        return NO_TOPIC
    if task.notice_error is None:
        return NOT_SENT if task.notice_sent is False else None
    words, code = BY_CODE.get(task.notice_error), task.notice_error
    en, zh = (f", {words.en}", f"，{words.zh}") if words else ("", "")
    return Text(f"{NOT_SENT.en}: {code}{en}", f"{NOT_SENT.zh}：{code}{zh}")
