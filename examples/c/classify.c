/* Label a clip with a one-file model and the C API of ONNX Runtime, on a little-endian machine. On Debian 13 or later:

       apt install gcc pkg-config libonnxruntime-dev
       gcc -O2 classify.c -o classify $(pkg-config --cflags --libs libonnxruntime)
       ./classify MODEL.onnx CLIP.wav

   Elsewhere: -I and -L into the archive that ONNX Runtime publishes for the system, and -lonnxruntime. */

#include <onnxruntime_c_api.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const OrtApi *ort;

#define FAIL(...) (fprintf(stderr, "classify: " __VA_ARGS__), fputc('\n', stderr), exit(1))

static void check(OrtStatus *status) {
    if (status) FAIL("%s", ort->GetErrorMessage(status));
}

/* What stands in the card after "key": from there on, or fail. */
static char *after(char *json, const char *key) {
    char *found = json ? strstr(json, key) : NULL;
    if (!found) FAIL("the model has no earmark card");
    return found + strlen(key);
}

/* End a JSON string where its quotation mark does; undo \" and \\ within. Returns what follows. */
static char *end_string(char *text) {
    char *to = text;
    for (; *text && *text != '"'; *to++ = *text++)
        if (*text == '\\' && (text[1] == '"' || text[1] == '\\')) text++;
    if (!*text) FAIL("the card ends too early");
    *to = 0;
    return text + 1;
}

/* Read a WAV of 16-bit integers or 32-bit floats; channels are averaged. */
static float *read_wav(const char *path, uint32_t rate_hz, size_t *frames) {
    uint8_t head[12], chunk[8], format[40] = {0};
    uint32_t size, hertz;
    uint16_t kind, channels, bits;
    FILE *file = fopen(path, "rb");
    if (!file) FAIL("the clip cannot be opened");
    if (fread(head, 1, 12, file) < 12 || memcmp(head, "RIFF", 4)) FAIL("the clip is not a WAV file");
    for (;; fseek(file, size % 2, SEEK_CUR)) {
        if (fread(chunk, 1, 8, file) < 8) FAIL("the clip has no samples");
        memcpy(&size, chunk + 4, 4);
        if (!memcmp(chunk, "data", 4)) break;
        uint32_t part = !memcmp(chunk, "fmt ", 4) ? (size < 40 ? size : 40) : 0;
        if (fread(format, 1, part, file) < part || fseek(file, size - part, SEEK_CUR)) FAIL("the clip ends too early");
    }
    memcpy(&kind, format, 2);
    if (kind == 0xFFFE) memcpy(&kind, format + 24, 2);
    memcpy(&channels, format + 2, 2);
    memcpy(&hertz, format + 4, 4);
    memcpy(&bits, format + 14, 2);
    if (!channels || !((kind == 1 && bits == 16) || (kind == 3 && bits == 32)))
        FAIL("the clip is neither of 16-bit integers nor of 32-bit floats");
    if (hertz != rate_hz) FAIL("the clip is at %u Hz, the model takes %u Hz", hertz, rate_hz);
    size_t width = bits / 8 * channels;
    long begin = ftell(file), end = fseek(file, 0, SEEK_END) ? begin : ftell(file);
    if (size > (unsigned long)(end - begin)) size = (uint32_t)(end - begin); /* as in what is piped from ffmpeg */
    fseek(file, begin, SEEK_SET);
    uint8_t *bytes = malloc((size_t)size + 1);
    *frames = bytes ? fread(bytes, 1, size, file) / width : 0;
    float *samples = calloc(*frames + 1, sizeof *samples);
    if (!*frames || !samples) FAIL("the clip has no samples");
    for (size_t index = 0; index < *frames * channels; index++) {
        float sample = kind == 3 ? ((float *)bytes)[index] : ((int16_t *)bytes)[index] / 32768.0f;
        samples[index / channels] += sample / channels;
    }
    return samples;
}

int main(int count, char **given) {
    if (count != 3) FAIL("usage: classify MODEL.onnx CLIP.wav");
    ort = OrtGetApiBase()->GetApi(ORT_API_VERSION);
    if (!ort) FAIL("the library is older than the header");
    OrtEnv *env;
    OrtSessionOptions *options;
    OrtSession *session;
    OrtModelMetadata *metadata;
    OrtAllocator *allocator;
    OrtMemoryInfo *memory;
    OrtValue *waveform, *clip = NULL;
    char *card;
    float *samples, *scores;
    size_t length, classes;
    check(ort->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "classify", &env));
    check(ort->CreateSessionOptions(&options));
    check(ort->CreateSession(env, given[1], options, &session));
    check(ort->GetAllocatorWithDefaultOptions(&allocator));
    check(ort->SessionGetModelMetadata(session, &metadata));
    check(ort->ModelMetadataLookupCustomMetadataMap(metadata, allocator, "earmark", &card));
    samples = read_wav(given[2], strtoul(after(card, "\"sample_rate\":"), NULL, 10), &length);
    check(ort->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
    check(ort->CreateTensorWithDataAsOrtValue(memory, samples, length * sizeof *samples, (int64_t[]){1, length}, 2,
                                              ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &waveform));
    check(ort->Run(session, NULL, (const char *[]){"waveform"}, (const OrtValue *const *)&waveform, 1,
                   (const char *[]){"clip"}, 1, &clip));
    OrtTensorTypeAndShapeInfo *shape;
    check(ort->GetTensorTypeAndShape(clip, &shape));
    check(ort->GetTensorShapeElementCount(shape, &classes));
    check(ort->GetTensorMutableData(clip, (void **)&scores));
    char **names = calloc(classes, sizeof *names), *label = after(card, "\"labels\":[");
    for (size_t index = 0; index < classes; index++) {
        names[index] = after(label, "\"name\":\"");
        label = end_string(names[index]);
    }
    for (size_t rank = 0; rank < 5 && rank < classes; rank++) {
        size_t best = 0;
        for (size_t index = 1; index < classes; index++)
            if (scores[index] > scores[best]) best = index;
        printf("%.3f  %s\n", scores[best], names[best]);
        scores[best] = -1;
    }
    return 0;
}
