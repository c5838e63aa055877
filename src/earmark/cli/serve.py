"""The command that makes models a service."""

import logging
import math
import webbrowser
from threading import Thread
from typing import TYPE_CHECKING, Annotated

from typer import Option

from earmark.cli import options
from earmark.cli.messages import complain
from earmark.errors import OptionError, needs_extra

if TYPE_CHECKING:
    from earmark.service.settings import Limits

_MEGABYTE = 2**20


def serve(
    *,
    model: Annotated[
        list[str] | None,
        Option(
            "--model",
            metavar="MODEL",
            show_default=False,
            help="A name of `earmark models list`, an .onnx or a .tflite file; may be repeated, and the first answers "
            f"where none is named. By default {options.DEFAULT_MODEL}.",
        ),
    ] = None,
    host: Annotated[
        str, Option("--host", metavar="ADDRESS", help="Where to listen; 0.0.0.0 lets others in.")
    ] = "127.0.0.1",
    port: Annotated[int, Option("--port", min=0, max=65535, metavar="N", help="0 for any that is free.")] = 8000,
    token: Annotated[
        str | None,
        Option(
            "--token",
            metavar="TOKEN",
            envvar="EARMARK_TOKEN",
            show_envvar=False,
            help="What clients must send as 'Authorization: Bearer TOKEN'; also from EARMARK_TOKEN.",
        ),
    ] = None,
    insecure: Annotated[bool, Option("--insecure", help="Let others in without a token.")] = False,
    workers: Annotated[
        int | None, Option("--workers", min=1, metavar="N", help="Processes that analyse; by default one a core.")
    ] = None,
    max_megabytes: Annotated[
        float, Option("--max-megabytes", min=0.001, metavar="N", help="The most that a request may bring.")
    ] = 200.0,
    max_seconds: Annotated[
        float, Option("--max-seconds", min=0.001, metavar="SECONDS", help="The longest recording.")
    ] = 3600.0,
    timeout: Annotated[
        float, Option("--timeout", min=0.001, metavar="SECONDS", help="The longest analysis of a recording.")
    ] = 60.0,
    queue: Annotated[int, Option("--queue", min=0, metavar="N", help="Recordings that may wait for a worker.")] = 64,
    allow_origin: Annotated[
        list[str] | None,
        Option(
            "--allow-origin",
            metavar="ORIGIN",
            help="Let web pages of this place call, such as https://example.org; may be repeated, * for all.",
        ),
    ] = None,
    allow_host: Annotated[
        list[str] | None,
        Option("--allow-host", metavar="NAME", help="A further name by which clients call it; may be repeated."),
    ] = None,
    json_logs: Annotated[bool, Option("--json-logs", help="Write the log as one JSON object per line.")] = False,
    open_page: Annotated[bool, Option("--open", help="Open the page in the browser.")] = False,
) -> None:
    """Answer over HTTP, to programs and to people with a browser.

    Ctrl-C ends it once all that is running has finished, and SIGHUP lets it load its models anew.
    """
    with needs_extra("serve", "a service"):
        from earmark.service.logs import LOGGER
        from earmark.service.server import run
        from earmark.service.settings import Settings

        limits = _limits(max_megabytes, max_seconds, timeout, queue)
        cores = {} if workers is None else {"workers": workers}
        settings = Settings(
            models=tuple(model or (options.DEFAULT_MODEL,)),
            host=host,
            port=port,
            token=token,
            insecure=insecure,
            origins=tuple(allow_origin or ()),
            hosts=tuple(allow_host or ()),
            limits=limits,
            **cores,
        )

        def greet(address: str) -> None:
            say = logging.getLogger(LOGGER).info if json_logs else complain
            if not (token or settings.is_local):
                say(f"--insecure: whoever reaches {host} can use this service")
            say(f"{', '.join(settings.models)} at {address}{'' if json_logs else ' (Ctrl-C ends it)'}")
            if open_page:
                Thread(target=webbrowser.open, args=(address,), daemon=True).start()  # it may wait for a text browser

        run(settings, as_json=json_logs, on_ready=greet)


def _limits(max_megabytes: float, max_seconds: float, timeout: float, queue: int) -> "Limits":
    from earmark.service.settings import Limits

    upload_bytes = max_megabytes * _MEGABYTE
    if not math.isfinite(upload_bytes):
        raise OptionError(f"--max-megabytes {max_megabytes} is not allowed: give a number such as 200")
    return Limits(
        upload_bytes=round(upload_bytes),
        sound_seconds=max_seconds,
        analysis_seconds=timeout,
        queue=queue,
    )
