"""Snippets of the API's published documentation, word by word."""

# ruff: noqa: E501 - their lines are as long as they are

URL = "https://face-api.xylolabs.com"
KEY = "xyl_your_api_key_here"

PYTHON = {
    "health": """\
import requests

response = requests.get("https://face-api.xylolabs.com/health")
print(response.json())
""",
    "detect": """\
import requests

response = requests.post(
    "https://face-api.xylolabs.com/api/v1/detect?confidence=0.6&max_faces=5",
    headers={"X-API-Key": "xyl_your_api_key_here"},
    files={"image": open("photo.jpg", "rb")},
)
print(response.json())
""",
    "mask": """\
import requests

response = requests.post(
    "https://face-api.xylolabs.com/api/v1/mask?method=pixelate&strength=32&format=webp",
    headers={"X-API-Key": "xyl_your_api_key_here"},
    files={"image": open("photo.jpg", "rb")},
)
with open("masked.webp", "wb") as f:
    f.write(response.content)
""",
    "count": """\
import requests

with open("photo.jpg", "rb") as f:
    response = requests.post(
        "https://face-api.xylolabs.com/api/v1/detect?confidence=0.6",
        headers={"X-API-Key": "xyl_your_api_key_here"},
        files={"image": f},
    )

print(response.json()["summary"]["face_count"])
""",
}

CURL = {
    "health": """\
curl https://face-api.xylolabs.com/health
""",
    "detect": """\
curl -X POST "https://face-api.xylolabs.com/api/v1/detect?confidence=0.6&max_faces=5" \\
  -H "X-API-Key: xyl_your_api_key_here" \\
  -F "image=@photo.jpg"
""",
    "mask": """\
curl -X POST "https://face-api.xylolabs.com/api/v1/mask?method=pixelate&strength=32&format=webp" \\
  -H "X-API-Key: xyl_your_api_key_here" \\
  -F "image=@photo.jpg" \\
  -o masked.webp
""",
}

JAVASCRIPT = {
    "health": """\
const response = await fetch("https://face-api.xylolabs.com/health");
console.log(await response.json());
""",
    "detect": """\
const formData = new FormData();
formData.append("image", fileInput.files[0]);

const response = await fetch("https://face-api.xylolabs.com/api/v1/detect?confidence=0.6&max_faces=5", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: formData,
});
console.log(await response.json());
""",
    "mask": """\
const formData = new FormData();
formData.append("image", fileInput.files[0]);

const response = await fetch("https://face-api.xylolabs.com/api/v1/mask?method=pixelate&strength=32&format=webp", {
  method: "POST",
  headers: { "X-API-Key": "xyl_your_api_key_here" },
  body: formData,
});
const blob = await response.blob();
""",
    "mask as in the examples": """\
const formData = new FormData();
formData.append("image", fileInput.files[0]);

const response = await fetch(
  "https://face-api.xylolabs.com/api/v1/mask?method=gaussian",
  {
    method: "POST",
    headers: { "X-API-Key": "xyl_your_api_key_here" },
    body: formData,
  }
);

const blob = await response.blob();
""",
}
