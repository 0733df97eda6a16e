"""Reads the events of a topic as those do who know nothing of Tidegate: the records with kafka-python,
the events in them with the Kafka binding of the CloudEvents project's own package.

    read_events.py BOOTSTRAP TOPIC COUNT

writes a line of JSON for each of the first COUNT records, by partition and offset:

    {"attributes": {...}, "data": "...", "key": "...", "partition": 0, "offset": 0}

- attributes: what the package has read, and nothing that it makes up (id, specversion and time, where
  they are missing). In binary mode all are text. Time is the package's, in RFC 3339, to microseconds.
- data: bytes in Base64, or null where there is none. In binary mode the record's value as it is. In
  structured mode the package has parsed JSON; it is written with sorted keys, without white space, as
  UTF-8. Text of another media type is UTF-8 as well; what was Base64 is those bytes.
- key: the record's, as text, or null. The package is not told it: it would make it the attribute
  `partitionkey`, which the event has by itself if it has it.

Ends with 1 and a message when a record is no event, or when COUNT have not come within a minute.
"""

import base64
import json
import re
import signal
import sys

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, from_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent
from kafka import KafkaConsumer, TopicPartition

SECONDS_MAX = 60

# Of a value that is shown because it could not be read.
SHOWN_BYTES_MAX = 500


class Sent(CloudEvent):
    """An event with what was sent, and no more."""

    def __init__(self, attributes, data=None):
        missing = {"id", "specversion"} - attributes.keys()
        if missing:
            raise ValueError(f"no {', '.join(sorted(missing))}")
        has_time = "time" in attributes
        super().__init__(attributes, data)
        if not has_time:
            self.get_attributes().pop("time")


class Bytes(JSONFormat):
    """Data of binary mode as it is."""

    def read_data(self, body, datacontenttype):
        return body


class Late(BaseException):
    """No `Exception`: nobody else may catch it."""


def late(_signal, _frame):
    raise Late


def records(bootstrap, topic, count):
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        group_id=None,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        allow_auto_create_topics=False,
    )
    partitions = consumer.partitions_for_topic(topic)
    if not partitions:
        sys.exit(f"read_events: there is no topic {topic}")
    consumer.assign([TopicPartition(topic, partition) for partition in partitions])
    found = []
    try:
        while len(found) < count:
            for some in consumer.poll(timeout_ms=1000).values():
                found.extend(some)
    except Late:
        sys.exit(f"read_events: {len(found)} of {count} records within {SECONDS_MAX} s")
    return sorted(found[:count], key=lambda record: (record.partition, record.offset))


def event(record):
    headers = {name.lower(): value for name, value in record.headers}
    if len(headers) != len(record.headers):
        raise ValueError("a header stands there twice")
    message = KafkaMessage(headers=headers, key=None, value=record.value)
    if headers.get("content-type", b"").startswith(b"application/cloudevents"):
        read = from_structured(message, JSONFormat(), Sent)
        return read, structured_data(read)
    read = from_binary(message, Bytes(), Sent)
    return read, read.get_data()


def structured_data(read):
    data = read.get_data()
    if data is None or isinstance(data, bytes):
        return data
    media_type = read.get_datacontenttype() or JSONFormat.DEFAULT_CONTENT_TYPE
    if not re.match(JSONFormat.JSON_CONTENT_TYPE_PATTERN, media_type):
        if not isinstance(data, str):
            raise ValueError(f"data of {media_type} is {type(data).__name__}")
        return data.encode()
    return json.dumps(
        data, allow_nan=False, ensure_ascii=False, separators=(",", ":"), sort_keys=True
    ).encode()


def line(record):
    read, data = event(record)
    attributes = dict(read.get_attributes())
    if "time" in attributes:
        attributes["time"] = read.get_time().isoformat().replace("+00:00", "Z")
    return json.dumps(
        {
            "attributes": attributes,
            "data": None if data is None else base64.b64encode(data).decode(),
            "key": None if record.key is None else record.key.decode(),
            "partition": record.partition,
            "offset": record.offset,
        }
    )


def main():
    bootstrap, topic, count = sys.argv[1:]
    signal.signal(signal.SIGALRM, late)
    signal.alarm(SECONDS_MAX)
    try:
        found = records(bootstrap, topic, int(count))
    except Late:
        sys.exit(f"read_events: no answer of {bootstrap} within {SECONDS_MAX} s")
    signal.alarm(0)
    for record in found:
        try:
            print(line(record))
        except Exception as error:
            sys.exit(
                f"read_events: partition {record.partition}, offset {record.offset} cannot be read: "
                f"{type(error).__name__}: {error}\n"
                f"headers: {record.headers}\nvalue: {(record.value or b'')[:SHOWN_BYTES_MAX]}"
            )


main()
