"""placeholder until the admin lands"""


def AdminScope(get_response):
    return get_response
