"""The drawings of the report: plain functions from figures to inline SVG, no script, no network."""
import datetime
from html import escape


def text(x, y, words, cls="", anchor="start"):
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{cls}" text-anchor="{anchor}">{escape(str(words))}</text>'


def line(x1, y1, x2, y2, cls="axis"):
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" class="{cls}"/>'


def rect(x, y, width, height, cls, title="", radius=0):
    tip = f"<title>{escape(title)}</title>" if title else ""
    return (f'<rect x="{x:.1f}" y="{y:.1f}" width="{max(width, 0):.1f}" height="{max(height, 0):.1f}" rx="{radius}" '
            f'class="{cls}">{tip}</rect>')


def circle(x, y, r, cls, title=""):
    tip = f"<title>{escape(title)}</title>" if title else ""
    return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" class="{cls}">{tip}</circle>'


def path(d, cls):
    return f'<path d="{d}" class="{cls}"/>'


def svg(width, height, parts, label):
    return (f'<svg viewBox="0 0 {width} {height}" role="img" aria-label="{escape(label)}">' + "".join(parts) + "</svg>")


def size(count):
    for unit in ("B", "KB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.0f} {unit}" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1000
    return ""


def ticks(top):
    """Three to five round steps from 0 to at least `top`."""
    step = 1.0
    while top / step > 5:
        step *= 2.5 if f"{step:e}"[0] == "2" else 2
    return [n * step for n in range(int(top / step) + 2)]


def short(day):
    return datetime.date.fromisoformat(day).strftime("%d %b").lstrip("0")


def free_row(said, x, room=38):
    """Which of the rows of labels has room at x; remembers the choice, so that labels do not cover each other."""
    row = next((n for n, last in enumerate(said) if x - last >= room), len(said) - 1)
    said[row] = x
    return row


def days_axis(days, x, bottom):
    """Month names below the first day of each month, or the ends of a short run."""
    out = []
    for n, day in enumerate(days):
        if day.endswith("-01") or (n == 0 and not any(d.endswith("-01") for d in days)):
            out += [line(x(n), bottom, x(n), bottom + 4), text(x(n), bottom + 16, short(day), "small")]
    return out


# -- the mesh ----------------------------------------------------------------------------------------------------

def mesh_graph(mesh):
    """Domains as areas, products as boxes, ports as small diamonds, subscriptions as arrows."""
    products = mesh["products"]
    consumers = {s["consumer"] for s in mesh["subscriptions"]}
    left = [p for p in products if p["id"] not in consumers]
    right = [p for p in products if p["id"] in consumers]
    domains = []
    for product in left:
        if product["domain"] not in domains:
            domains.append(product["domain"])
    place, parts, y = {}, [], 14
    for domain in domains:
        inside = [p for p in left if p["domain"] == domain]
        height = 30 + 48 * len(inside)
        parts += [rect(10, y, 300, height, "domain", radius=8), text(22, y + 19, domain, "domain-name")]
        for n, product in enumerate(inside):
            place[product["id"]] = (24, y + 28 + 48 * n)
        y += height + 12
    total = y
    for n, product in enumerate(right):
        top = total / 2 - 58 + n * 110
        parts += [rect(600, top, 300, 96, "domain", radius=8), text(612, top + 19, product["domain"], "domain-name")]
        place[product["id"]] = (614, top + 30)
    for s in mesh["subscriptions"]:
        source = s["from"].split(":")[0]
        if source not in place or s["consumer"] not in place:
            continue
        (x1, y1), (x2, y2) = place[source], place[s["consumer"]]
        x1, y1, y2 = x1 + 281, y1 + 20, y2 + 24
        parts.append(path(f"M{x1} {y1} C{x1 + 130} {y1}, {x2 - 150} {y2}, {x2 - 2} {y2}", "edge"))
        parts.append(text(x1 + 12, y1 + (14 if y2 < y1 else -5), f"{s['from'].split(':')[1]}  {s['mode']}", "small"))
    for product in products:
        x, y = place[product["id"]]
        ports = ", ".join(f"{p['port']}@{p['major']}: {p['publications']} publications" for p in product["ports"])
        cls = "product hurt" if product.get("incidents") else "product"
        parts += [rect(x, y, 272, 40, cls, ports, 5), text(x + 10, y + 17, product["id"].split("/")[1], "strong"),
                  text(x + 10, y + 32, f"repository {product['repository']}", "small"),
                  text(x + 258, y + 17, f"{sum(p['publications'] for p in product['ports'])} publications", "small", "end")]
        if product.get("incidents"):
            parts.append(text(x + 258, y + 32, f"{product['incidents']} loads refused", "small bad", "end"))
        parts.append(path(f"M{x + 272} {y + 14} l6 6 l-6 6 l-6 -6 z", "port"))
    return svg(920, max(total, 140), parts, "The mesh: domains, products and subscriptions")


# -- days --------------------------------------------------------------------------------------------------------

def rows_a_day(days, table, refused, top=None, name=""):
    """Bars of the rows of each day; refused loads are marked with what was seen instead."""
    values = [day["rows"].get(table) for day in days]
    top = top or max([v or 0 for v in values] + [1])
    steps = ticks(top)
    left, right, height, bottom = 56, 910, 190, 150
    width = (right - left) / max(len(days), 1)
    scale = bottom - 16
    x = lambda n: left + n * width                                                      # noqa: E731
    y = lambda v: bottom - v / steps[-1] * scale                                        # noqa: E731
    parts = [text(left, 10, name or table, "strong")]
    for step in steps:
        parts += [line(left, y(step), right, y(step), "grid"), text(left - 6, y(step) + 4, f"{step:,.0f}", "small", "end")]
    said = [-100.0, -100.0]
    for n, day in enumerate(days):
        value, bad = values[n], refused.get(day["date"])
        title = f"{day['date']}: {'nothing arrived' if value is None else f'{value:,} rows'}"
        if bad:
            title += f"; refused: {bad['check']}, {bad['observed']} instead of {bad['expected']}"
        cls = "bar bad" if bad and not bad.get("injected") else "bar"
        if value is None:
            parts.append(rect(x(n) + 0.5, 16, width - 1, scale, "missing", title))
        else:
            parts.append(rect(x(n) + 0.5, y(value), width - 1, bottom - y(value), cls, title))
        if bad:
            parts.append(circle(x(n) + width / 2, bottom + 24, 3.2, "dot injected" if bad.get("injected") else "dot bad", title))
            if not bad.get("injected"):
                row = free_row(said, x(n))
                parts.append(text(x(n) + width / 2, bottom + 38 + 12 * row, short(day["date"]), "small bad", "middle"))
    parts += days_axis([d["date"] for d in days], x, bottom)
    parts.append(line(left, bottom, right, bottom))
    return svg(920, height + 12, parts, f"Rows a day of {table}")


def shares(days, series, limit=None):
    """Lines of percentages over the days; `limit` draws the border at which a rule warns."""
    left, right, height, bottom = 56, 910, 220, 180
    values = {name: [d["null_percent"].get(name) for d in days] for name in series}
    top = max([v for vs in values.values() for v in vs if v is not None] + [limit or 1, 1])
    steps = ticks(top)
    span = max(len(days) - 1, 1)
    x = lambda n: left + n * (right - left) / span                                      # noqa: E731
    y = lambda v: bottom - v / steps[-1] * (bottom - 30)                                # noqa: E731
    parts = []
    for step in steps:
        parts += [line(left, y(step), right, y(step), "grid"), text(left - 6, y(step) + 4, f"{step:g} %", "small", "end")]
    if limit:
        parts += [line(left, y(limit), right, y(limit), "limit"),
                  text(left + 6, y(limit) - 4, f"cancelled: warning above {limit:g} %", "small warn")]
    for k, name in enumerate(series):
        points, broken = [], True
        for n, value in enumerate(values[name]):
            if value is None:
                broken = True
                continue
            points.append(f"{'M' if broken else 'L'}{x(n):.1f} {y(value):.1f}")
            broken = False
            if limit and k == 0 and value > limit:
                parts += [circle(x(n), y(value), 3.5, "dot warn", f"{days[n]['date']}: {value:.1f} %"),
                          text(x(n), y(value) - 8, short(days[n]["date"]), "small warn", "middle")]
        parts.append(path(" ".join(points), f"series s{k}"))
        parts += [rect(left + k * 210, 6, 12, 4, f"key s{k}"), text(left + 18 + k * 210, 12, series[name], "small")]
    parts += days_axis([d["date"] for d in days], x, bottom)
    parts.append(line(left, bottom, right, bottom))
    return svg(920, height, parts, "Share of nulls over time")


# -- runs --------------------------------------------------------------------------------------------------------

def run_lanes(run):
    """One run as branches: main, the DAG branch, a lane for each attempt; where they fork, where they merge."""
    jobs = run["jobs"]
    begin = min([j["began_ms"] for j in jobs] + [run.get("forked_ms", 10 ** 15)])
    end = max([j["ended_ms"] for j in jobs] + [run.get("landed_ms") or 0])
    left, right, span = 150, 890, max(end - begin, 1)
    x = lambda ms: left + 24 + (ms - begin) / span * (right - left - 60)                # noqa: E731
    main, dag = 24, 58
    height = dag + 34 * len(jobs) + 24
    landed = run.get("landed_ms")
    parts = [text(8, main + 4, "main", "strong"), text(8, dag + 4, f"dag  {run['date']}", "small"),
             line(left, main, right, main, "lane main"),
             path(f"M{left + 6} {main} C{left + 18} {main}, {left + 8} {dag}, {left + 24} {dag} "
                  f"L{x(landed or end):.1f} {dag}", "lane dag")]
    for n, job in enumerate(jobs):
        y = dag + 34 * (n + 1)
        a, b = x(job["began_ms"]), x(job["ended_ms"])
        state = {"landed": "ok", "failed": "bad"}.get(job["state"], "grey")
        parts += [text(8, y + 4, f"{job['job']} a{job['attempt']}", "small"),
                  path(f"M{a - 10:.1f} {dag} C{a - 2:.1f} {dag}, {a - 10:.1f} {y}, {a:.1f} {y} L{b:.1f} {y}", f"lane {state}"),
                  circle(a, y, 3, f"dot {state}"), circle(b, y, 3, f"dot {state}", job["state"])]
        if job["state"] == "landed":
            parts += [path(f"M{b:.1f} {y} C{b + 8:.1f} {y}, {b:.1f} {dag}, {b + 9:.1f} {dag}", f"lane {state}"),
                      circle(b + 9, dag, 3.5, "dot ok", f"{job['job']} lands on the DAG branch")]
        else:
            parts.append(text(b + 8, y + 4, job["state"], "small bad"))
        parts.append(text((a + b) / 2, y - 6, f"{job['ended_ms'] - job['began_ms']:.0f} ms", "small", "middle"))
    if landed:
        parts += [path(f"M{x(landed):.1f} {dag} C{x(landed) + 12:.1f} {dag}, {x(landed) + 2:.1f} {main}, "
                       f"{x(landed) + 16:.1f} {main}", "lane dag"),
                  circle(x(landed) + 16, main, 5, "dot main", "the whole run lands on main in one step"),
                  text(x(landed) + 16, main - 9, run.get("publication", "landed"), "small", "middle")]
    return svg(920, height, parts, f"Run {run['date']}")


def landing_order(days):
    """When each day became a publication: a straight line, and the days that had to wait."""
    seen = [d for d in days if d.get("landing")]
    if not seen:
        return ""
    left, right, height = 56, 910, 122
    span = max(len(days) - 1, 1)
    said = [-100.0, -100.0]
    last = max(max(d["landing"] for d in seen), 1)
    x = lambda n: left + n * (right - left) / span                                      # noqa: E731
    z = lambda n: left + (n - 1) * (right - left) / max(last - 1, 1)                     # noqa: E731
    parts = [text(8, 38, "day", "small"), text(8, 100, "landing", "small")]
    for n, day in enumerate(days):
        if day.get("landing"):
            cls = "link late" if day.get("waited") else "link"
            parts.append(line(x(n), 34, z(day["landing"]), 96, cls))
            parts.append(circle(z(day["landing"]), 96, 2, "dot ok", f"landing {day['landing']}: {day['date']}"))
        parts.append(circle(x(n), 34, 2.6 if day.get("waited") or not day.get("landing") else 2,
                            "dot ok" if day.get("landing") and not day.get("waited") else "dot bad",
                            f"{day['date']}: {day.get('why') or 'landed at once'}"))
        if not day.get("landing") or day.get("waited"):
            parts.append(text(x(n), 26 - 12 * free_row(said, x(n)), short(day["date"]), "small bad", "end" if x(n) > 890 else "middle"))
    return svg(920, height, parts, "Days and the order in which they landed")


# -- bytes and times ---------------------------------------------------------------------------------------------

def bars(rows, form, unit_label="", label=""):
    """Horizontal bars: rows of (name, value, class, note)."""
    top = max([r[1] for r in rows] + [1e-9])
    left, right = 210, 760
    parts = []
    for n, (name, value, cls, note) in enumerate(rows):
        y = 8 + 28 * n
        parts += [text(left - 10, y + 14, name, "", "end"), rect(left, y, max(value / top * (right - left), 1), 19, f"bar {cls}", radius=2),
                  text(left + value / top * (right - left) + 8, y + 14, f"{form(value)}{unit_label} {note}", "small")]
    return svg(920, 14 + 28 * len(rows), parts, label)


def spans(rows, label=""):
    """p50 (dark) and p95 (light) of each step in milliseconds: rows of (name, p50, p95, count)."""
    top = max([r[2] for r in rows] + [1e-9])
    left, right = 210, 740
    parts = []
    for n, (name, p50, p95, count) in enumerate(rows):
        y = 8 + 28 * n
        scale = (right - left) / top
        parts += [text(left - 10, y + 14, name, "", "end"), rect(left, y, max(p95 * scale, 1), 19, "bar pale", radius=2),
                  rect(left, y, max(p50 * scale, 1), 19, "bar", radius=2),
                  text(left + p95 * scale + 8, y + 14, f"{p50:.1f} / {p95:.1f} ms   {count}x", "small")]
    return svg(920, 14 + 28 * len(rows), parts, label)
