"""Keeps aiokafka from making topics by looking for them."""

from functools import partial

import aiokafka.client
from aiokafka.protocol.metadata import MetadataRequest


def never_create_topics() -> None:
    """Have every client of this process ask for topics without making those that are missing.

    A broker may make what it is asked for (`auto.create.topics.enable`, true by default, and the
    embedded broker), with its own number of partitions and its own settings: a topic that somebody
    has deleted came back as another one, at once.
    """
    aiokafka.client.MetadataRequest = partial(MetadataRequest, allow_auto_topic_creation=False)
