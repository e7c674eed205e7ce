"""What the node's speed is compared with: a FastAPI app that returns a constant, as long as the node's answers."""

from fastapi import FastAPI

app = FastAPI()
CONSTANT = {"key": "8a35eb59-62b3-481c-8875-1f248df4c952", "val": "lunmtp ftxemjfob pmo hwoya"}


@app.get("/")
async def constant() -> dict[str, str]:
    """Answer."""
    return CONSTANT
