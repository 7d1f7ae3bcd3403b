DROP TABLE audit, api_token, gateway_config, placement, detector, bus, gateway, contact, worker_grid, worker,
    resident, household, building, grid, community, area, epoch;
