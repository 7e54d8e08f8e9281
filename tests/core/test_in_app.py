import pytest

from gateway.core.in_app import find_app

PHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 19_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) "
ROBOT = "Mozilla/5.0 (Linux; Android 15; Pixel 9 Build/AP4A; wv) AppleWebKit/537.36 (KHTML, like Gecko) Version/4.0 "


@pytest.mark.parametrize(
    ("agent", "app"),
    [
        (PHONE + "Mobile/22B83 musical_ly_36.5.0 JsSdk/2.0 NetType/WIFI Channel/App Store ByteLocale/en", "TikTok"),
        (ROBOT + "Chrome/142.0 Mobile Safari/537.36 trill_360503 BytedanceWebview/d8a21c6", "TikTok"),
        (PHONE + "Mobile/22B83 Instagram 402.0.0.21 (iPhone17,1; iOS 19_1; en_US)", "Instagram"),
        (PHONE + "Mobile/22B83 [FBAN/FBIOS;FBAV/500.0.0;FBBV/1;FBDV/iPhone17,1]", "Facebook"),
        (ROBOT + "Chrome/142.0 Mobile Safari/537.36 [FB_IAB/FB4A;FBAV/500.0.0.0.1;]", "Facebook"),
        (PHONE + "Mobile/22B83 Safari/604.1 Line/15.2.0", "LINE"),
        (PHONE + "Version/19.1 Mobile/15E148 Safari/604.1", None),
        ("Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0", None),
        ("Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 Chrome/142.0 Safari/537.36 Offline/1", None),
        ("", None),
    ],
)
def test_apps_are_named(agent: str, app: str | None) -> None:
    assert find_app(agent) == app
