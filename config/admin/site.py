"""The admin site: unfold's, under our name."""

from unfold.sites import UnfoldAdminSite


class RemembrancerAdminSite(UnfoldAdminSite):
    site_title = "Remembrancer"
    site_header = "Remembrancer"
    index_title = "At a glance"
