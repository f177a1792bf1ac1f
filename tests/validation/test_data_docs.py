"""Data Docs can be read without a network, and hold no patient's value."""

import re

import pytest

from validation.data_docs import offline


@pytest.fixture(scope="module")
def docs(clean, validate, tmp_path_factory):
    folder = tmp_path_factory.mktemp("docs")
    frame = clean()[["record_id", "site_id", "index_date", "age_years", "planned_backbone", "planned_biologic", "sex"]]
    frame.loc[3, "age_years"] = 7131
    frame.loc[4, "sex"] = "zz-male"
    frame["Surname"] = "zz-name"
    validate(frame, docs_dir=folder)
    return {path.name: path.read_text(encoding="utf-8") for path in folder.rglob("*")}


def test_there_is_a_page_for_each_suite_and_an_index_of_them(docs):
    assert {"index.html", "rows.html", "columns.html", "sites.html", "patient.html"} <= set(docs)
    links = set(re.findall(r'href="([^"#]+)"', docs["index.html"]))
    assert links == set(docs) - {"index.html"}


def test_nothing_is_fetched(docs):
    for name, page in docs.items():
        assert not re.search(r"https?://|<script|<link|<img|<iframe|@import|url\(", page), name
        assert page.count("<style>") == 1


def test_the_pages_are_those_of_great_expectations_with_what_is_expected(docs):
    assert "values must be less than or equal to" in docs["patient.html"]
    assert "1 unexpected values found" in docs["patient.html"]


def test_every_link_leads_somewhere(docs):
    for page in docs.values():
        for link in re.findall(r'href="([^"]*)"', page):
            name, _, anchor = link.partition("#")
            assert name in docs or (not name and f'id="{anchor}"' in page), link


def test_every_page_leads_back_to_the_index(docs):
    assert all('href="index.html"' in page for name, page in docs.items() if name != "index.html")


def test_the_index_tells_every_problem(docs):
    assert "above_hard_limit" in docs["index.html"] and "identifying_column" in docs["index.html"]
    assert 'href="plan.html">plan</a>: 0 of' in docs["index.html"]
    assert not re.search(r'href="patient.html">patient</a>: 0 of', docs["index.html"])


def test_no_page_holds_a_value(docs):
    for page in docs.values():
        assert "7131" not in page and "zz-" not in page


def test_a_page_made_readable_keeps_its_text():
    page = '<head><link href="https://x"></head><body><script>f()</script><footer>ad</footer><p>text</p></body>'
    assert offline(page, "p {}") == "<head><style>\np {}</style>\n</head><body><p>text</p></body>"
