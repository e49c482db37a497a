-- Customers whose last order is older than a year, for a win-back campaign.
-- Runs as it stands on the table that samples/make_warehouse.py builds, and on most databases.
-- Whoever has not opted in is held back by the mapping's consent attribute, and counted.
SELECT
    customer_key,
    email_address,
    phone_number,
    given_name,
    family_name,
    sex,
    born_on,
    town,
    region,
    zip,
    country_code,
    marketing_opt_in
FROM customers
WHERE last_order_on < '2025-07-01'
