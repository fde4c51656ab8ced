# The bot in a container; docs/container.md says how to run it, and how its media gets through.
FROM python:3.11-slim-bookworm

# mediapipe links the first two, its OpenCV the others.
RUN apt-get update \
    && apt-get install -y --no-install-recommends libegl1 libgles2 libgl1 libglib2.0-0 \
    && rm -rf /var/lib/apt/lists/*

WORKDIR /app
# torch first and pinned, as in the Makefile; in a layer of its own, which a change of the code leaves alone.
COPY constraints.txt ./
RUN pip install --no-cache-dir -c constraints.txt torch
COPY pyproject.toml README.md LICENSE NOTICE ./
COPY rtc_voice rtc_voice
COPY demo/web demo/web
RUN pip install --no-cache-dir -c constraints.txt .

RUN useradd --create-home bot
USER bot
WORKDIR /home/bot
EXPOSE 8080
HEALTHCHECK --start-period=60s CMD ["python", "-c", "import urllib.request as r; r.urlopen('http://127.0.0.1:8080/health')"]
ENTRYPOINT ["rtc-voice"]
CMD ["--log-json", "serve", "--host", "0.0.0.0"]
