DROP TABLE forward, forward_address, forward_centre;
