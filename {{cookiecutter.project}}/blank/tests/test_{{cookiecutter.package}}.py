import {{ cookiecutter.package }}


def test_the_package_says_what_it_is() -> None:
    assert {{ cookiecutter.package }}.__doc__
