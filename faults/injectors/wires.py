"""Faults of the network: cut in mid-sentence, between a commit and its answer, slow, silent."""

from faults.injectors.scene import Fault, Play, Scene
from faults.proxy import Trouble


def cut(name: str, trouble: Trouble) -> Play:
    """Break every worker's connections to a server now and then."""

    async def play(scene: Scene) -> int:
        proxies = [getattr(wires, name) for wires in scene.rig.wires]
        before = sum(proxy.cuts for proxy in proxies)
        for proxy in proxies:
            proxy.give(trouble)
        await scene.hold(10, 25)
        for proxy in proxies:
            proxy.heal()
        # A delay has struck once.
        return int(sum(proxy.cuts for proxy in proxies) - before) or 1

    return play


def one_of_them(name: str, trouble: Trouble) -> Play:
    """Cut one worker off from a server, for longer than a session."""

    async def play(scene: Scene) -> int:
        proxy = getattr(scene.rng.choice(scene.rig.wires), name)
        proxy.give(trouble)
        await scene.hold(10, 30)
        proxy.heal()
        return 1

    return play


FAULTS = {
    "postgres_commit_cut": Fault("postgres", cut("postgres", Trouble(cuts_commits=0.1))),
    "postgres_reply_cut": Fault("postgres", cut("postgres", Trouble(cuts_replies=0.02))),
    "postgres_slow": Fault("postgres", cut("postgres", Trouble(delay=0.05))),
    "postgres_unreachable": Fault("postgres", one_of_them("postgres", Trouble(refuses=True))),
    "postgres_silent": Fault("postgres", one_of_them("postgres", Trouble(stalls=True))),
    "kafka_reply_cut": Fault("kafka", cut("kafka", Trouble(cuts_replies=0.02))),
    "kafka_slow": Fault("kafka", cut("kafka", Trouble(delay=0.1))),
    "kafka_unreachable": Fault("kafka", one_of_them("kafka", Trouble(refuses=True))),
    "kafka_silent": Fault("kafka", one_of_them("kafka", Trouble(stalls=True))),
    "redis_reply_cut": Fault("redis", cut("redis", Trouble(cuts_replies=0.2))),
}
