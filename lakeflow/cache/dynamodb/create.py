"""Makes the table that caches are pushed to."""

from __future__ import annotations

import time

from lakeflow.cache.dynamodb.address import Address
from lakeflow.cache.dynamodb.failures import explained
from lakeflow.cache.dynamodb.table import Table
from lakeflow_io.errors import NotFoundError, StoreError

__all__ = ["create_in", "create_table"]

_CREATED_SECONDS = 300  # AWS takes about ten
_FIRST_WAIT_SECONDS = 0.05
_LONGEST_WAIT_SECONDS = 2.0


def create_table(url: str) -> None:
    """Make a table for caches, billed by request, and wait until it can be used; nothing where it is there.

    Its partition key is `pk`, a string, and its sort key `sk`, binary. One table holds any number of caches.

    Args:
        url: `dynamodb://TABLE[?region=..&endpoint=..]`.

    Raises:
        ConfigError: the URL can't be used, boto3 isn't installed, or no region is named.
        AccessDeniedError: the credentials are missing, wrong, or without the rights CreateTable and DescribeTable.
        StoreError: AWS can't be reached or refuses, or the table isn't there after 5 minutes.
    """
    create_in(Table(Address.parse(url)))


def create_in(table: Table) -> None:
    """Make the table that is spoken to, as `create_table` does."""
    from botocore.exceptions import BotoCoreError, ClientError

    try:
        table.client().create_table(
            TableName=table.name,
            AttributeDefinitions=[
                {"AttributeName": "pk", "AttributeType": "S"},
                {"AttributeName": "sk", "AttributeType": "B"},
            ],
            KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
            BillingMode="PAY_PER_REQUEST",
        )
    except ClientError as error:
        if error.response["Error"]["Code"] != "ResourceInUseException":
            raise explained(error, table.name) from error
    except BotoCoreError as error:
        raise explained(error, table.name) from error
    deadline = time.monotonic() + _CREATED_SECONDS
    wait = _FIRST_WAIT_SECONDS
    while not _ready(table):
        if time.monotonic() > deadline:
            raise StoreError(f"{table.shown} isn't ready after {_CREATED_SECONDS} s.", "try again.")
        time.sleep(wait)
        wait = min(2 * wait, _LONGEST_WAIT_SECONDS)


def _ready(table: Table) -> bool:
    try:
        facts = table.repeat("describe_table", TableName=table.name)["Table"]
    except NotFoundError:  # just after it was made
        return False
    return facts["TableStatus"] != "CREATING"
