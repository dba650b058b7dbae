def lookup(sku: str) -> None:
    raise KeyError(sku)
