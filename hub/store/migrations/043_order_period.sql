-- Which period of a resource's update duty an order is about, where it is about one.
alter table rectification_order add column period text;
