DROP INDEX gateway_area;
