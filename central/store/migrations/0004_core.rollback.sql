DROP INDEX event_boot;
