"""A second, small reading of examples/flights/mesh/RULES.md in Python: the oracle of the tests, not the product."""
import duckdb
import yaml

OPERATORS = {
    "mustBe": lambda v, x: v == x, "mustNotBe": lambda v, x: v != x,
    "mustBeGreaterThan": lambda v, x: v > x, "mustBeGreaterOrEqualTo": lambda v, x: v >= x,
    "mustBeLessThan": lambda v, x: v < x, "mustBeLessOrEqualTo": lambda v, x: v <= x,
    "mustBeBetween": lambda v, x: x[0] <= v <= x[1], "mustNotBeBetween": lambda v, x: not x[0] <= v <= x[1],
}


def literal(value):
    return "'" + str(value).replace("'", "''") + "'"


def custom(rule):
    return {p["property"]: p["value"] for p in rule.get("customProperties", [])}


class Contract:
    def __init__(self, path):
        with open(path, encoding="utf-8") as file:
            self.document = yaml.safe_load(file)
        self.table = self.document["schema"][0]
        self.columns = self.table["properties"]

    def rules(self):
        """Each rule with its column, or None for the table's."""
        for rule in self.table.get("quality", []):
            yield None, rule
        for column in self.columns:
            for rule in column.get("quality", []):
                yield column["name"], rule

    def check(self, files, references=None, before=()):
        """Fails of one change: {check id: (severity, observed)}; `before` = rows of earlier partitions, oldest first."""
        con = duckdb.connect(config={"threads": 1})
        object_ = f"read_parquet({[str(f) for f in files]}, hive_partitioning = false)"
        failed = {}

        def one(query):
            return con.execute(query).fetchone()[0]

        types = {row[0]: row[1] for row in con.execute(f"DESCRIBE FROM {object_}").fetchall()}
        wrong = [c["name"] for c in self.columns if types.get(c["name"]) != c["physicalType"]]
        if wrong:
            return {"schema": ("error", wrong)}
        rows = one(f"SELECT count(*) FROM {object_}")
        for column in self.columns:
            name, options = column["name"], column.get("logicalTypeOptions", {})
            tests = {}
            if column.get("required"):
                tests["required"] = f"{name} IS NULL"
            if "minimum" in options or "maximum" in options:
                tests["range"] = (f"{name} < {options.get('minimum', -1e300)} OR "
                                  f"{name} > {options.get('maximum', 1e300)}")
            if "pattern" in options:
                tests["pattern"] = f"NOT regexp_matches({name}, {literal(options['pattern'])})"
            for test, where in tests.items():
                count = one(f"SELECT count(*) FROM {object_} WHERE {where}")
                if count:
                    failed[f"{name}.{test}"] = ("error", count)
            if column.get("unique") and rows != one(f"SELECT count(DISTINCT {name}) FROM {object_}"):
                failed[f"{name}.unique"] = ("error", rows)
        for column, rule in self.rules():
            observed = self.observe(one, object_, rows, column, rule, references or {})
            if observed is None:
                continue
            holds = all(test(observed, rule[op]) for op, test in OPERATORS.items() if op in rule)
            base = custom(rule).get("meshBaseline")
            if base and len(before) >= base["window"]:
                median = sorted(before[-base["window"]:])
                median = (median[13] + median[14]) / 2
                holds = holds and rows >= median * (1 - base["maxBelowPercent"] / 100)
            if not holds:
                failed[rule["id"]] = (rule.get("severity", "error"), observed)
                explain = custom(rule).get("meshExplain")
                if explain:
                    con.execute(self.bind(explain, object_, references or {})).fetchall()
        return failed

    @staticmethod
    def bind(query, object_, references):
        query = query.replace("${object}", object_).replace("${table}", object_)
        for name, pattern in references.items():
            query = query.replace("${reference.%s}" % name, f"read_parquet({literal(pattern)}, hive_partitioning = false)")
        assert "${" not in query, query
        return query

    def observe(self, one, object_, rows, column, rule, references):
        arguments = rule.get("arguments", {})
        if rule["type"] == "text":
            return None
        if rule["type"] == "sql":
            return one(self.bind(rule["query"], object_, references))
        metric = rule["metric"]
        if metric == "rowCount":
            return rows
        if metric == "duplicateValues":
            keys = ", ".join(arguments["properties"])
            count = rows - one(f"SELECT count(*) FROM (SELECT DISTINCT {keys} FROM {object_})")
        elif metric == "nullValues":
            count = one(f"SELECT count(*) FROM {object_} WHERE {column} IS NULL")
        elif metric == "missingValues":
            tokens = ", ".join(literal(v) for v in arguments["missingValues"] if v is not None)
            count = one(f"SELECT count(*) FROM {object_} WHERE {column} IS NULL OR {column} IN ({tokens})")
        elif "validValues" in arguments:
            count = one(f"SELECT count(*) FROM {object_} WHERE {column} NOT IN "
                        f"({', '.join(literal(v) for v in arguments['validValues'])})")
        else:
            count = one(f"SELECT count(*) FROM {object_} WHERE NOT regexp_matches({column}, {literal(arguments['pattern'])})")
        return 100.0 * count / rows if rule.get("unit") == "percent" and rows else count
