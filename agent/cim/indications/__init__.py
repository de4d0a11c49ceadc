"""Who wants to hear of what (DSP1054): filters, destinations and subscriptions, and how indications get there."""
