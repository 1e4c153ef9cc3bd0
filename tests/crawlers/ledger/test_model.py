"""The ledger against a model that keeps everything in dictionaries."""

from __future__ import annotations

import hashlib
import itertools
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crawlers.causes import Cause
from crawlers.ledger.rows import Claim
from crawlers.spiders.page_content import FoundImage, PageContent

PEOPLE, SITES = ("Ada", "Bo", "Cy"), ("s", "t")
IMAGES = tuple(f"https://{host}/{n}" for host in ("x.org", "y.org", "z.org") for n in range(3))
PAGES = tuple(f"https://x.org/page/{n}" for n in range(4))
PASSING = (Cause.TIMEOUT, Cause.HTTP_ERROR)
LASTING = (Cause.NOT_FOUND, Cause.OPTED_OUT)
DAY = datetime(2026, 1, 1, tzinfo=UTC)
Target = tuple[str, str]

CLAIMS = st.builds(
    lambda identity, site, url, number: Claim(
        identity=identity, site=site, url=url, page_number=number * (url in PAGES)
    ),
    st.sampled_from(PEOPLE),
    st.sampled_from(SITES),
    st.sampled_from(IMAGES + PAGES),
    st.integers(1, 3),
)
CONTENTS = st.builds(
    lambda images, following: PageContent(
        images=tuple(FoundImage(url=url) for url in images), next_urls=tuple(following)
    ),
    st.lists(st.sampled_from(IMAGES), max_size=3),
    st.lists(st.sampled_from(PAGES), max_size=2),
)
ANSWERS = st.tuples(
    st.sampled_from(["good", "good", "good", "unchanged", *PASSING, *LASTING]),
    st.integers(0, 2),
    CONTENTS,
)
STEPS = st.one_of(
    st.tuples(st.just("claim"), st.lists(CLAIMS, min_size=1, max_size=4)),
    st.tuples(st.just("list"), st.lists(CLAIMS, max_size=4)),
    st.tuples(st.just("answer"), st.lists(ANSWERS, min_size=1, max_size=6)),
    st.tuples(st.just("retry"), st.none() | st.lists(st.sampled_from(LASTING))),
    st.tuples(st.just("refresh"), st.integers(0, 5)),
    st.tuples(st.just("rules"), st.tuples(st.integers(1, 3), st.sets(st.sampled_from(PEOPLE)))),
    st.tuples(st.just("reopen"), st.none()),
)


@dataclass
class Model:
    """What the ledger should say; ``good`` is what stands of a URL, ``failed`` why nothing does."""

    crawl: Any
    claims: dict[tuple[str, Target], Claim] = field(default_factory=dict)
    causes: dict[tuple[str, Target], Cause | None] = field(default_factory=dict)
    good: dict[Target, bytes | PageContent] = field(default_factory=dict)
    fetched: dict[Target, int] = field(default_factory=dict)
    failed: dict[Target, Cause] = field(default_factory=dict)
    again: set[Target] = field(default_factory=set)
    listed_in: dict[tuple[str, Target], int] = field(default_factory=dict)
    lists: list[str] = field(default_factory=list)

    def claim(self, claims: Iterable[Claim], list_number: int = 0) -> None:
        for claim in claims:
            key, cause = (claim.identity, target_of(claim)), self.crawl.refusal(claim)
            old = self.claims.get(key)
            if old is not None and (
                cause is not None
                or (self.causes[key] is None and claim.page_number >= old.page_number)
            ):
                if list_number and self.listed_in[key]:
                    self.listed_in[key] = list_number
                continue
            self.claims[key], self.causes[key] = claim, cause
            self.listed_in[key] = list_number
            if cause is None:
                self.follow(claim)

    def take_list(self, claims: list[Claim], digest: str) -> None:
        if self.lists[-1:] == [digest]:
            return
        self.claim(claims, len(self.lists) + 1)
        self.lists.append(digest)
        self.judge()

    def refusal(self, key: tuple[str, Target]) -> Cause | None:
        was_removed = 0 < self.listed_in[key] < len(self.lists)
        return Cause.NOT_LISTED if was_removed else self.crawl.refusal(self.claims[key])

    def follow(self, claim: Claim) -> None:
        content = self.good.get(target_of(claim))
        if isinstance(content, PageContent):
            self.claim(
                replace(claim, url=image.url, page_number=0, page_url=claim.url)
                for image in content.images
            )
            self.claim(
                replace(claim, url=url, page_number=claim.page_number + 1, page_url=claim.url)
                for url in content.next_urls
            )

    def accepted(self) -> list[Claim]:
        return [claim for key, claim in self.claims.items() if self.causes[key] is None]

    def pending(self) -> set[Target]:
        targets = {target_of(claim) for claim in self.accepted()}
        known = self.good.keys() | self.failed.keys()
        return {target for target in targets if target not in known or target in self.again}

    def answer(self, target: Target, answer: Any, day: int) -> None:
        self.again.discard(target)
        if answer == "unchanged" and target not in self.good:
            answer = Cause.HTTP_ERROR
        if answer in PASSING and target in self.good:
            return
        self.fetched[target] = day
        if isinstance(answer, Cause):
            if answer is Cause.OPTED_OUT:
                self.withdraw(target)
            self.good.pop(target, None)
            self.failed[target] = answer
        elif answer != "unchanged":
            self.failed.pop(target, None)
            self.good[target] = answer
            for claim in self.accepted():
                if target_of(claim) == target:
                    self.follow(claim)

    def withdraw(self, page: Target) -> None:
        content = self.good.get(page)
        claimants = [claim for claim in self.accepted() if target_of(claim) == page]
        images = content.images if isinstance(content, PageContent) else ()
        for identity, url in itertools.product({c.identity for c in claimants}, images):
            key = (identity, (url.url, ""))
            if self.causes[key] is None and self.claims[key].page_url == page[0]:
                self.causes[key] = Cause.OPTED_OUT

    def retry(self, causes: list[Cause] | None) -> None:
        chosen = set(Cause) if causes is None else set(causes)
        wanted = {target_of(claim) for claim in self.accepted()}
        self.again |= {t for t in wanted if self.failed.get(t) in chosen}

    def refresh(self, day: int) -> None:
        wanted = {target_of(claim) for claim in self.accepted()}
        self.again |= {t for t in wanted & self.good.keys() if self.fetched[t] < day}

    def judge(self) -> None:
        for key in self.claims:
            if self.causes[key] is not Cause.OPTED_OUT:
                self.causes[key] = self.refusal(key)
        for claim in self.accepted():
            self.follow(claim)

    def fates(self) -> set[tuple[Any, ...]]:
        pending, fates = self.pending(), set()
        for key, claim in self.claims.items():
            target = target_of(claim)
            cause = self.causes[key] or (None if target in pending else self.failed.get(target))
            state = "failed" if cause else "pending" if target in pending else "stored"
            body = self.good.get(target) if self.causes[key] is None else None
            digest = hashlib.sha256(body).hexdigest() if isinstance(body, bytes) else None
            fates.add((claim.identity, claim.url, target[1], state, cause, digest))
        return fates


def target_of(claim: Claim) -> Target:
    return (claim.url, claim.site if claim.is_page else "")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(steps=st.lists(STEPS, min_size=3, max_size=25))
def test_the_ledger_does_as_its_model(crawl: Any, steps: list[tuple[str, Any]]) -> None:
    # In memory where there is such a disk: a model is compared after every step.
    memory = Path("/dev/shm")
    folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
    one = type(crawl)(folder, listed=frozenset(PEOPLE))
    model = Model(one)
    try:
        for number, (step, given_value) in enumerate(steps):
            take_step(one, model, step, given_value, number)
            compare(one, model)
    finally:
        one.ledger.close()
        shutil.rmtree(folder)


def take_step(crawl: Any, model: Model, step: str, value: Any, day: int) -> None:
    crawl.fetched_at = DAY.replace(day=day + 1).isoformat()
    if step == "claim":
        crawl.ledger.add_claims(value)
        model.claim(value)
    elif step == "list":
        crawl.ledger.add_list(value, digest=repr(value))
        model.take_list(value, repr(value))
    elif step == "answer":
        pending = crawl.pending()
        for one, (kind, seed, content) in zip(pending, value, strict=False):
            good = content if one.is_page else b"\xff\xd8\xff%d" % seed
            answer = good if kind == "good" else kind
            crawl.answer(one, 304 if answer == "unchanged" else answer)
            model.answer((one.url, one.site if one.is_page else ""), answer, day)
        crawl.ledger.give_back(pending)
    elif step == "retry":
        crawl.ledger.retry_failed(value)
        model.retry(value)
    elif step == "refresh":
        crawl.ledger.refresh(DAY.replace(day=value + 1))
        model.refresh(value)
    elif step == "rules":
        crawl.reopen(max_pages=value[0], listed=frozenset(value[1]))
        model.judge()
    else:
        crawl.reopen()


def compare(crawl: Any, model: Model) -> None:
    fates = {
        (a.identity, a.url, a.site if a.is_page else "", a.state, a.cause, a.sha256)
        for a in crawl.ledger.accounts()
    }
    assert fates == model.fates()
    pending = crawl.pending()
    crawl.ledger.give_back(pending)
    found = {(one.url, one.site if one.is_page else "") for one in pending}
    assert found == model.pending()
    assert len(pending) == len(found)
    assert crawl.ledger.is_settled() is (not found)
    counts = crawl.ledger.counts()
    images = Counter(fate[3] for fate in fates if "/page/" not in fate[1])
    assert (counts.stored, counts.pending) == (images["stored"], images["pending"])
    assert sum(counts.failed.values()) == images["failed"]
    pages = Counter(fate[3] for fate in fates if "/page/" in fate[1])
    assert (counts.pages, counts.pages_pending) == (pages["stored"], pages["pending"])
    assert sum(counts.pages_failed.values()) == pages["failed"]
    assert counts.size_bytes == 4 * counts.stored
    hosts = crawl.ledger.by_host().values()
    assert sum(one.requested for one in hosts) == counts.requested
    stored = [(one.identity, one.url) for one in crawl.ledger.stored()]
    assert stored == sorted(fate[:2] for fate in fates if fate[5] is not None)
