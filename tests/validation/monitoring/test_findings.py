"""What was found, in order, and whether it asks for an update."""

from validation.monitoring.findings import Finding, Findings, Severity


def finding(severity, retrain=False, text="text"):
    return Finding(severity=severity, block="block", text=text, retrain=retrain)


def test_the_most_serious_comes_first():
    found = Findings.of([finding(Severity.OK), finding(Severity.ALERT), finding(Severity.SHOW)])
    assert [f.severity.word for f in found.found] == ["alert", "show", "ok"]


def test_only_an_alert_on_the_model_asks_for_an_update():
    assert not Findings.of([finding(Severity.ALERT), finding(Severity.SHOW, retrain=True)]).needs_retraining
    asked = Findings.of([finding(Severity.ALERT, retrain=True, text="More than predicted.")])
    assert asked.needs_retraining
    assert asked.reason == "More than predicted."


def test_without_a_reason_it_says_so():
    assert Findings.of([]).reason == "Nothing found asks for an update."
