"""One DynamoDB table: the few requests that pushers and readers send, repeated where an answer was lost."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any, TypeAlias

from lakeflow.cache.dynamodb.failures import CONDITION, delays, explained, passing
from lakeflow_io.errors import ConfigError, StoreError, ThrottledError
from lakeflow_io.storage.aws import DEFAULT_REGION

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from lakeflow.cache.dynamodb.address import Address

__all__ = ["Item", "ItemKey", "Table", "Value", "put", "removal"]

Value: TypeAlias = str | int | bytes
Item = dict[str, Value]
"""An item's attributes; numbers are whole."""
ItemKey = tuple[str, bytes]
"""The partition key `pk` and the sort key `sk`."""

_CONNECT_SECONDS = 5
_ANSWER_SECONDS = 30
_CONNECTIONS = 32  # more than a push or a read has in flight
_ATTEMPTS = 8  # waits of 3 seconds in the mean, and at most 6


class Table:
    """A table that is spoken to; safe for threads and after a fork.

    All methods raise NotFoundError where the table doesn't exist, ConfigError where its key is another one,
    AccessDeniedError, ThrottledError, and StoreError where it can't be reached or refuses.

    Args:
        address: Which.

    Raises:
        ConfigError: boto3 isn't installed, or no region is named.
    """

    def __init__(self, address: Address) -> None:
        self.name = address.table
        self.shown = address.shown
        self._address = address
        self._clients: dict[int, Any] = {}
        self.client()

    def get(self, key: ItemKey) -> Item | None:
        """Return one item, as it is after all writes that were answered before."""
        found = self.repeat("get_item", TableName=self.name, Key=_key(key), ConsistentRead=True)
        return _plain(found["Item"]) if "Item" in found else None

    def update(
        self, key: ItemKey, changes: Mapping[str, Value | None], condition: str, given: Mapping[str, Value]
    ) -> bool:
        """Change attributes of one item, which is made where it isn't there, if a condition holds.

        Args:
            key: Which item.
            changes: New values; None removes an attribute.
            condition: A DynamoDB condition expression. It has to hold after the change, too: a request whose
                answer was lost is repeated.
            given: The values of its placeholders, without their colons.

        Returns:
            Whether the condition held.
        """
        from botocore.exceptions import ClientError

        sets = [f"{name} = :set_{name}" for name, value in changes.items() if value is not None]
        removes = [name for name, value in changes.items() if value is None]
        values = {f":set_{name}": _typed(value) for name, value in changes.items() if value is not None}
        values |= {f":{name}": _typed(value) for name, value in given.items()}
        expression = f"SET {', '.join(sets)}" if sets else ""
        expression += f" REMOVE {', '.join(removes)}" if removes else ""
        arguments = {"UpdateExpression": expression, "ConditionExpression": condition}
        try:
            self.repeat(
                "update_item", TableName=self.name, Key=_key(key), ExpressionAttributeValues=values, **arguments
            )
        except StoreError as error:
            if isinstance(error.__cause__, ClientError) and error.__cause__.response["Error"]["Code"] == CONDITION:
                return False
            raise
        return True

    def delete(self, key: ItemKey) -> None:
        """Remove one item, where it is there."""
        self.repeat("delete_item", TableName=self.name, Key=_key(key))

    def query(self, partition: str, begins: bytes, attributes: str) -> Iterator[list[Item]]:
        """Yield pages of a partition's items, as they are after all writes that were answered before.

        Args:
            partition: The partition key.
            begins: How their sort keys begin.
            attributes: Those to return, with commas between.
        """
        asked: dict[str, Any] = {
            "TableName": self.name,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :sk)",
            "ExpressionAttributeValues": {":pk": _typed(partition), ":sk": _typed(begins)},
            "ProjectionExpression": attributes,
            "ConsistentRead": True,
        }
        while True:
            page = self.repeat("query", **asked)
            yield [_plain(item) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def read(self, keys: list[ItemKey], attributes: str) -> list[Item]:
        """Return those of at most 100 different items that are there, in any order, after all writes answered before.

        What the table leaves out, since it is asked too much or the answer would be longer than 16 MB, is asked for
        again.
        """
        left = [_key(key) for key in keys]
        items: list[Item] = []
        waits = delays(_ATTEMPTS)
        while left:
            asked = {"Keys": left, "ProjectionExpression": attributes, "ConsistentRead": True}
            answer = self.repeat("batch_get_item", RequestItems={self.name: asked})
            got = answer["Responses"].get(self.name, [])
            items += [_plain(item) for item in got]
            left = answer["UnprocessedKeys"].get(self.name, {}).get("Keys", [])
            if got:
                waits = delays(_ATTEMPTS)
            elif left:
                wait = next(waits, None)
                if wait is None:
                    raise ThrottledError(
                        f"{self.shown} answers no more of a batch.", "raise its capacity or make it on-demand."
                    )
                time.sleep(wait)
        return items

    def write(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Send at most 25 puts and deletes, once; return those that the table didn't do.

        Raises:
            ClientError, BotoCoreError: as boto3 raises them.
        """
        answer = self.client().batch_write_item(RequestItems={self.name: requests})
        unprocessed: list[dict[str, Any]] = answer["UnprocessedItems"].get(self.name, [])
        return unprocessed

    def client(self) -> Any:
        """Return this process's client: one that was forked would share its sockets with its parent's."""
        process = os.getpid()
        client = self._clients.get(process)
        if client is None:
            client = self._clients[process] = _connected(self._address)
        return client

    def repeat(self, operation: str, **arguments: Any) -> dict[str, Any]:
        """Send a request, again where its answer was lost or too many came; return the answer.

        Args:
            operation: The client's method.
            arguments: Its arguments.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        waits = delays(_ATTEMPTS)
        while True:
            try:
                answer: dict[str, Any] = getattr(self.client(), operation)(**arguments)
            except (BotoCoreError, ClientError) as error:
                wait = next(waits, None) if passing(error) else None
                if wait is None:
                    raise explained(error, self.name) from error
            else:
                return answer
            time.sleep(wait)


def _connected(address: Address) -> Any:
    try:
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError
    except ImportError as error:
        raise ConfigError.missing_extra("boto3", "dynamodb", "A cache in DynamoDB") from error

    config = Config(
        connect_timeout=_CONNECT_SECONDS,
        read_timeout=_ANSWER_SECONDS,
        max_pool_connections=_CONNECTIONS,
        retries={"total_max_attempts": 1},  # ours know what a batch has left
        tcp_keepalive=True,
        parameter_validation=False,  # requests are put together in this file alone
    )
    try:
        session = boto3.Session(region_name=address.region)
        region = session.region_name or (DEFAULT_REGION if address.endpoint else None)
        return session.client("dynamodb", region_name=region, endpoint_url=address.endpoint, config=config)
    except (BotoCoreError, ValueError) as error:
        raise explained(error, address.table) from error


def put(item: Mapping[str, Value]) -> dict[str, Any]:
    """Return the request of a batch that writes an item."""
    return {"PutRequest": {"Item": {name: _typed(value) for name, value in item.items()}}}


def removal(key: ItemKey) -> dict[str, Any]:
    """Return the request of a batch that removes an item."""
    return {"DeleteRequest": {"Key": _key(key)}}


def _key(key: ItemKey) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"B": key[1]}}


def _typed(value: Value) -> dict[str, Any]:
    if isinstance(value, int):
        return {"N": str(value)}
    return {"S": value} if isinstance(value, str) else {"B": value}


def _plain(item: dict[str, dict[str, Any]]) -> Item:
    return {name: int(typed["N"]) if "N" in typed else next(iter(typed.values())) for name, typed in item.items()}
