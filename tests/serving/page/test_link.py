"""A link to a comparison carries regimens and nothing of the patient."""

from playwright.sync_api import expect

from tests.serving.page.canned import estimate, untick_all_but


def ticked(page):
    return page.evaluate(
        "[...document.querySelectorAll('[data-biologic]:checked')]"
        ".map((box) => box.closest('[data-backbone]').dataset.backbone + ' ' + box.dataset.biologic)"
    )


def test_a_link_brings_the_same_regimens_plan_and_view_to_another_page(visit):
    page = visit()
    page.fill("#f-age_years", "54")
    page.fill("#f-cea_ng_ml", "4321")
    untick_all_but(page, "CAPOX", "FOLFIRI + cetuximab")
    page.fill("[data-backbone=capox] input[type=number]", "8")
    page.select_option("#planned", label="FOLFIRI + cetuximab")
    page.select_option("#profile", "uk")
    estimate(page)
    page.click("#tab-why")
    page.click("#link")
    address = page.url
    assert address.endswith("#compare=capox.none.8+folfiri.cetuximab.6&planned=folfiri.cetuximab&profile=uk&view=why")
    assert "4321" not in address and "54" not in address.partition("#")[2]
    other = visit(at="#" + address.partition("#")[2])
    assert ticked(other) == ["capox none", "folfiri cetuximab"]
    expect(other.locator("#planned")).to_have_value("folfiri cetuximab")
    expect(other.locator("#profile")).to_have_value("uk")
    expect(other.locator("[data-backbone=capox] output")).to_have_text("24 weeks")
    expect(other.locator("#f-age_years")).to_have_value("")
    other.fill("#f-age_years", "60")
    estimate(other)
    expect(other.locator("#panel-why")).to_be_visible()


def test_what_a_link_names_in_vain_is_left_out_and_said(visit):
    page = visit(at="#compare=folfox.none.6+folfox.placebo.6+capox.none.9999&planned=x.y&profile=mars&view=nothing")
    assert ticked(page) == ["capox none", "folfox none"]
    expect(page.locator("#regimens-note")).to_have_text("The link names 1 regimen that this service does not know.")
    expect(page.locator("[data-backbone=capox] input[type=number]")).to_have_value("4")
    expect(page.locator("#planned")).to_have_value("")
    page.fill("#f-age_years", "60")
    estimate(page)
    expect(page.locator("#panel-rows")).to_be_visible()


def test_no_request_carries_the_patient_in_its_address(visit, served):
    page = visit()
    page.wait_for_load_state("networkidle")
    addresses = []
    page.on("request", lambda request: addresses.append(request.url.removeprefix(served.address)))
    page.fill("#f-age_years", "54")
    estimate(page)
    for view, shown in (("pair", "table.pair"), ("tradeoff", "table.twin"), ("why", ".drivers")):
        page.click(f"#tab-{view}")
        page.locator(shown).first.wait_for()
    assert set(addresses) == {"predict", "compare", "explain"}
    assert "54" not in page.url.removeprefix(served.address)
