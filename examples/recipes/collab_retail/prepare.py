#!/usr/bin/env python3
"""Makes the tables of four tasks out of Online Retail (Chen 2015, UCI, doi 10.24432/C5BW33): one line an item of an invoice, with
InvoiceNo, StockCode, Quantity, InvoiceDate, UnitPrice, CustomerID, Country.

usage: prepare.py online_retail.csv[.gz] [FOLDER]          writes FOLDER/*.csv, FOLDER being retail beside this file

Every row has a time. Its features come from lines before that time, its label from lines after it; which rows there are at all depends on
lines before it too. That matters: a row that exists because a customer will buy would tell so by being there, whatever stands in it.
Rows whose label's window passes a cut-off are left out, so that no training label holds what happened in the validation part.
"""
import csv
import datetime
import gzip
import math
import os
import random
import sys
from bisect import bisect_left
from collections import Counter, defaultdict

DAY = datetime.timedelta(days=1)
CUTOFFS = [datetime.datetime(2011, 8, 15), datetime.datetime(2011, 10, 3)]  # as in retail.ini; Mondays, as all snapshots
FIRST, LAST = datetime.datetime(2011, 1, 31), datetime.datetime(2011, 11, 7)  # snapshots: two months of history, a window of four weeks
WINDOW = 28 * DAY  # of labels; of demand one week
END = datetime.datetime(2011, 12, 9)  # nothing is known behind it
ACTIVE = 56 * DAY  # a customer is asked about while the last order is not older


def read(path):
    """Purchases and cancellations in the order of time: (time, invoice, product, quantity, price, customer, country)."""
    bought, cancelled = [], []
    with (gzip.open(path, "rt", newline="") if path.endswith(".gz") else open(path, newline="")) as file:
        for line in csv.DictReader(file):
            customer, product, quantity = line["CustomerID"], line["StockCode"], int(line["Quantity"])
            if not customer or not product[:5].isdigit():  # guests; postage, discounts, samples
                continue
            time = datetime.datetime.fromisoformat(line["InvoiceDate"])
            item = (time, line["InvoiceNo"], product, abs(quantity), float(line["UnitPrice"]), customer.split(".")[0], line["Country"])
            if line["InvoiceNo"].startswith("C"):
                cancelled.append(item)
            elif quantity > 0 and item[4] > 0:
                bought.append(item)
    return sorted(bought), sorted(cancelled)


def is_within_a_part(time, window):
    """Whether the label of a row of this time is known before the next cut-off."""
    return all(not time < cutoff < time + window for cutoff in CUTOFFS)


def snapshots(window):
    time = FIRST
    while time <= LAST:
        if is_within_a_part(time, window):
            yield time
        time += 7 * DAY


class Log:
    """Events of one customer, product or pair, by time."""

    def __init__(self):
        self.times, self.items = [], []

    def add(self, item):
        self.times.append(item[0])
        self.items.append(item)

    def between(self, first, last):
        """From first on, before last."""
        return self.items[bisect_left(self.times, first):bisect_left(self.times, last)]

    def has(self, first, last):
        return bisect_left(self.times, first) < bisect_left(self.times, last)

    def days_since(self, time, never=400):
        before = bisect_left(self.times, time)
        return (time - self.times[before - 1]) / DAY if before else never


def logs(items, key):
    out = defaultdict(Log)
    for item in items:
        out[key(item)].add(item)
    return out


def active_customers(customers, time):
    return [c for c, log in customers.items() if log.has(time - ACTIVE, time)]


def repurchase(customers):
    """Will a customer order again within four weeks? What is known of a customer's orders, not of what was in them."""
    yield ["customer_id", "time", "days_since_order", "days_since_first_order", "orders", "orders_28_days", "spent", "spent_28_days",
           "mean_gap", "country", "buys_again"]
    for time in snapshots(WINDOW):
        for customer in active_customers(customers, time):
            log = customers[customer]
            past, recent = log.between(FIRST - 365 * DAY, time), log.between(time - WINDOW, time)
            days = sorted({item[0].date() for item in past})
            gap = (days[-1] - days[0]).days / (len(days) - 1) if len(days) > 1 else ""
            spent = [sum(item[3] * item[4] for item in items) for items in (past, recent)]
            yield [customer, time.date(), round(log.days_since(time), 2), (time.date() - days[0]).days, len({item[1] for item in past}),
                   len({item[1] for item in recent}), round(spent[0], 2), round(spent[1], 2), gap,
                   "UK" if past[-1][6] == "United Kingdom" else "other", int(log.has(time, time + WINDOW))]


def returns(bought, customer_returns):
    """Will any item of an invoice come back within four weeks? The basket, not who has bought it."""
    yield ["customer_id", "time", "items", "pieces", "value", "mean_price", "highest_price", "most_of_one", "hour", "weekday", "comes_back"]
    for invoice in logs(bought, lambda item: item[1]).values():
        time, customer = invoice.times[0], invoice.items[0][5]
        if not FIRST <= time <= END - WINDOW or not is_within_a_part(time, WINDOW):
            continue
        products = {item[2] for item in invoice.items}
        back = any(item[2] in products for item in customer_returns[customer].between(time, time + WINDOW))
        pieces, prices = [item[3] for item in invoice.items], [item[4] for item in invoice.items]
        value = sum(item[3] * item[4] for item in invoice.items)
        yield [customer, time.isoformat(), len(products), sum(pieces), round(value, 2), round(sum(prices) / len(prices), 3), max(prices),
               max(pieces), time.hour, time.weekday(), int(back)]


def recommendation(customers, products, pairs, draw):
    """Will this customer buy this product within four weeks? Two candidates a customer and week, drawn from what is known before: one that
    the customer has bought, one that all buy."""
    yield ["customer_id", "product_id", "time", "times_bought", "days_since_bought", "buyers_28_days", "growth", "price", "relative_price",
           "is_bought"]
    for time in snapshots(WINDOW):
        sold = Counter({p: len({item[5] for item in log.between(time - WINDOW, time)}) for p, log in products.items()})
        popular, weights = zip(*sorted((p, n) for p, n in sold.items() if n > 0))
        for customer in active_customers(customers, time):
            past = customers[customer].between(FIRST - 365 * DAY, time)
            usual = sum(item[4] for item in past) / len(past)
            for product in dict.fromkeys([draw.choice(sorted({item[2] for item in past})), draw.choices(popular, weights)[0]]):
                pair, log = pairs[customer, product], products[product]
                before = log.between(time - 2 * WINDOW, time - WINDOW)
                price = log.between(FIRST - 365 * DAY, time)[-1][4]
                yield [customer, product, time.date(), bisect_left(pair.times, time), round(pair.days_since(time), 2), sold[product],
                       round(math.log((1 + sold[product]) / (1 + len({item[5] for item in before}))), 3), price,
                       round(math.log(price / usual), 3), int(pair.has(time, time + WINDOW))]


def demand(products):
    """How many pieces of a product are sold in the next week, as log(1 + pieces)?"""
    weeks = range(1, 9)
    yield ["product_id", "time"] + [f"week_{w}" for w in weeks[:4]] + ["mean_8_weeks", "orders_28_days", "price", "log_pieces"]
    for time in snapshots(7 * DAY):
        for product, log in products.items():
            sold = [sum(item[3] for item in log.between(time - 7 * w * DAY, time - 7 * (w - 1) * DAY)) for w in weeks]
            if sum(n > 0 for n in sold) < 6:  # what sells now and then only
                continue
            recent = log.between(time - WINDOW, time)
            following = sum(item[3] for item in log.between(time, time + 7 * DAY))
            price = log.between(FIRST - 365 * DAY, time)[-1][4]
            yield [product, time.date()] + [round(math.log1p(n), 4) for n in sold[:4] + [sum(sold) / 8]] + [
                len({item[1] for item in recent}), price, round(math.log1p(following), 4)]


def main():
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    folder = sys.argv[2] if len(sys.argv) == 3 else os.path.join(os.path.dirname(os.path.abspath(__file__)), "retail")
    bought, cancelled = read(sys.argv[1])
    customers, products = logs(bought, lambda item: item[5]), logs(bought, lambda item: item[2])
    tables = {
        "repurchase": repurchase(customers),
        "returns": returns(bought, logs(cancelled, lambda item: item[5])),
        "recommendation": recommendation(customers, products, logs(bought, lambda item: (item[5], item[2])), random.Random(1)),
        "demand": demand(products),
    }
    os.makedirs(folder, exist_ok=True)
    for name, rows in tables.items():
        with open(os.path.join(folder, name + ".csv"), "w", newline="") as file:
            out = csv.writer(file, lineterminator="\n")
            count = -1  # the header
            for row in rows:
                out.writerow(row)
                count += 1
        print(f"{folder}/{name}.csv: {count} rows")


if __name__ == "__main__":
    main()
