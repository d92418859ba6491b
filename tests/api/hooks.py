"""Changes of the generated requests."""

import schemathesis


@schemathesis.hook
def map_body(context, body):
    """Replaces a generated command, because the balancer would run it in a shell."""
    if isinstance(body, dict) and isinstance(body.get("command"), str):
        body["command"] = "exit 1"
    return body
